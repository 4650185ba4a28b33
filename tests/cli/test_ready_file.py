"""The ready file and the panel, without a portal."""

import json
import stat
from pathlib import Path

import pytest

from portal.cli.ready_file import panel, remove_ready_file, write_ready_file
from portal.core.errors import PortalError


def test_the_file_is_private_whole_and_removed_quietly(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    path.write_text("old")
    path.chmod(0o644)
    write_ready_file(path, {"url": "http://127.0.0.1:8000", "pid": 1})
    assert json.loads(path.read_text()) == {"url": "http://127.0.0.1:8000", "pid": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [path]
    remove_ready_file(path)
    remove_ready_file(path)
    assert [*tmp_path.iterdir()] == []


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PortalError, match="cannot be written"):
        write_ready_file(tmp_path / "none" / "ready.json", {})


def test_without_demo_the_panel_names_no_log_in() -> None:
    shown = panel({"url": "http://127.0.0.1:8000", "database_url": None, "redis_urls": ["redis://:secret@h:1/0"]})
    assert "http://127.0.0.1:8000/sign-up" in shown
    assert "secret" not in shown
    assert "None" not in shown
