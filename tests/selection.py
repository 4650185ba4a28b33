"""Which tests need servers, which of those are fast enough to stand for their domain, and which share one worker.

Marks are set by what a test asks for, so a new test has them without anybody thinking of it:

- `server`: its fixtures start PostgreSQL, Valkey, RabbitMQ or Chromium, or its module is marked because it starts them.
- `xdist_group`: tests of one file stay together, in their order; those that kill servers, drive a browser or fill a
  broker share one worker, so that they never disturb one another.
"""

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
STARTING_FIXTURES = frozenset({"services", "server", "amqp_url", "place", "chromium"})
SERIAL_FOLDERS = ("faults", "e2e", "broker")
SERIAL_MARKS = ("faults", "e2e", "broker")
_left_out: Counter[str] = Counter()


def mark_item(item: pytest.Item) -> None:
    """Set the marks of one test from its fixtures, its marks and its place."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if "amqp_url" in fixtures:
        item.add_marker("broker")
    if fixtures & STARTING_FIXTURES or item.get_closest_marker("faults"):
        item.add_marker("server")
    folder = item.path.relative_to(ROOT).parts[0]
    is_serial = folder in SERIAL_FOLDERS or any(item.get_closest_marker(mark) for mark in SERIAL_MARKS)
    item.add_marker(pytest.mark.xdist_group("serial" if is_serial else str(item.path.relative_to(ROOT))))


def count_left_out(items: list[pytest.Item]) -> None:
    """Remember by folder what a selection such as `make test-fast` leaves out."""
    _left_out.update(item.path.relative_to(ROOT).parts[0].removesuffix(".py") for item in items)


def left_out() -> str:
    """Return one line that says how many tests of which folder were left out; empty when none was."""
    if not _left_out:
        return ""
    folders = ", ".join(f"{folder} {count}" for folder, count in sorted(_left_out.items()))
    return f"left out ({_left_out.total()} tests, `make test` runs them): {folders}"
