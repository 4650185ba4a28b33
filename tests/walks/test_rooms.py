"""Every file that a walk may enter has a room, and every room has files."""

from pathlib import Path

import pytest

from tests.walks.rooms import ROOMS, crossings, room_of

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(
    {
        f"{path.parent.relative_to(ROOT)}/"
        for top in ("portal", "web", "workers")
        for path in (ROOT / top).rglob("*.py")
        if path.name != "__init__.py"
        and not str(path.relative_to(ROOT)).startswith(("portal/cli/", "portal/metering/"))
    }
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_of_each_folder_has_a_room(folder: str) -> None:
    assert folder.startswith(room_of(f"{folder}file.py"))


def test_every_room_is_a_folder() -> None:
    assert [room for room in ROOMS if not (ROOT / room).is_dir()] == []


def test_a_walk_is_counted_by_room_in_order_of_entry() -> None:
    files = ["web/check/protocol.py", "portal/check/checker.py", "portal/check/policy/cache.py", "web/check/handler.py"]
    rooms = [(room, count) for room, count, _ in crossings(files)]
    assert rooms == [("web/check/", 2), ("portal/check/", 1), ("portal/check/policy/", 1)]
