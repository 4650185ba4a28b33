"""Which tests need servers, which of those are fast enough to stand for their domain, and which share one worker.

Marks are set by what a test asks for, so a new test has them without anybody thinking of it:

- `server`: its fixtures start PostgreSQL, Valkey, RabbitMQ or Chromium, or its module is marked because it starts them.

Which tests share a worker of pytest-xdist goes by their place, so that what is costly to start is started once: tests
of one file stay together, in their order; those of commands share a portal with demo data, those of pages a browser.
"""

from collections import Counter
from pathlib import Path

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

ROOT = Path(__file__).parent
STARTING_FIXTURES = frozenset({"services", "server", "amqp_url", "place", "chromium"})
SHARING_FOLDERS = ("cli", "e2e")
SLOW_FOLDERS = ("e2e", "cli", "faults")
_left_out: Counter[str] = Counter()


def mark_item(item: pytest.Item) -> None:
    """Set the marks of one test from its fixtures, its marks and its place."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if "amqp_url" in fixtures:
        item.add_marker("broker")
    if fixtures & STARTING_FIXTURES or item.get_closest_marker("faults"):
        item.add_marker("server")


def is_slow(item: pytest.Item) -> bool:
    """Return whether a test goes first, so that no worker is left with it at the end."""
    return item.path.relative_to(ROOT).parts[0] in SLOW_FOLDERS


def group_of(node_id: str) -> str:
    """Return what tests share a worker by: their folder or their file."""
    path = node_id.partition("::")[0]
    folder = path.removeprefix("tests/").partition("/")[0]
    return folder if folder in SHARING_FOLDERS else path


class ByPlace(LoadScopeScheduling):  # type: ignore[misc]  # without types
    """The scheduler of `make test`. That of `loadgroup` finds no groups with pytest 9.2: it sets what is not read."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def count_left_out(items: list[pytest.Item]) -> None:
    """Remember by folder what a selection such as `make test-fast` leaves out."""
    _left_out.update(item.path.relative_to(ROOT).parts[0].removesuffix(".py") for item in items)


def left_out() -> str:
    """Return one line that says how many tests of which folder were left out; empty when none was."""
    if not _left_out:
        return ""
    folders = ", ".join(f"{folder} {count}" for folder, count in sorted(_left_out.items()))
    return f"left out ({_left_out.total()} tests, `make test` runs them): {folders}"
