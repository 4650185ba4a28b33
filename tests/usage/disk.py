"""A disk that lies, told by strace: what a power failure would have left of a journal's folder.

Every write and fsync of the writer stands in strace's log. A file survives up to the size that its last successful
fsync began with; and only if its folder was synced after the file got its name.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\(\d+<(?P<path>[^>]+)>(?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_RESULT = re.compile(r"\) += (?P<result>-?\d+)")


@dataclass
class _File:
    size: int = 0
    synced: int = 0
    has_name: bool = False
    has_failed: bool = False


def after_power_failure(log: str, folder: Path) -> dict[str, int]:
    """Bytes that are safe, by the file's name. A file whose fsync failed once never gains any more."""
    files: dict[str, _File] = {}
    begun: dict[tuple[str, str], tuple[str, int]] = {}
    for line in log.splitlines():
        call, resumed = _CALL.match(line), _RESUMED.match(line)
        if call:
            path = _named(call["path"])
            sizes = {name: file.size for name, file in files.items()}
            begun[call["pid"], call["name"]] = (path, sizes.get(path, 0))
        found = call or resumed
        result = _RESULT.search(found["rest"]) if found else None
        if found is None or result is None:
            continue
        path, size = begun.pop((found["pid"], found["name"]))
        _apply(files, (found["name"], path, size), int(result["result"]), folder)
    return {name: file.synced for name, file in files.items() if file.has_name}


def _apply(files: dict[str, _File], call: tuple[str, str, int], result: int, folder: Path) -> None:
    name, path, size = call
    if path == str(folder):
        if name == "fsync" and result == 0:
            for file in files.values():
                file.has_name = True
        return
    if not path.startswith(str(folder)):
        return
    file = files.setdefault(path, _File())
    if name == "write" and result > 0:
        file.size += result
    elif name == "fsync":
        file.has_failed |= result != 0
        if not file.has_failed:
            file.synced = size


def _named(path: str) -> str:
    """A segment has another name while it is opened."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name.removeprefix('.').removesuffix('.opening')}"


def cut_to(sizes: dict[str, int], folder: Path) -> None:
    """What the machine finds when it has power again."""
    for path in folder.glob("*.journal"):
        safe = sizes.get(str(path), 0)
        path.write_bytes(path.read_bytes()[:safe])
