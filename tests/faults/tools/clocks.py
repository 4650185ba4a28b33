"""Clocks that go wrong: what a process takes for the time of day is moved while it runs, by libfaketime."""

from dataclasses import dataclass
from pathlib import Path

HOUR = 3600
_LIBRARIES = Path("/usr/lib")


@dataclass(frozen=True)
class WrongClock:
    """How far off is in a file, which the processes read again with every look at the clock."""

    file: Path

    def set(self, seconds: float) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+f}\n")
        fresh.replace(self.file)

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that goes by it; the monotonic clock stays right, as it does when a machine's time is set."""
        libraries = [*_LIBRARIES.glob("*/faketime/libfaketime.so.1")]
        assert libraries, "run tests/install_servers.sh"
        return {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def wrong_clock(folder: Path, seconds: float = 0) -> WrongClock:
    folder.mkdir(exist_ok=True)
    clock = WrongClock(folder / "clock")
    clock.set(seconds)
    return clock
