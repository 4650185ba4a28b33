"""The documents keep their promises: commands exist, links lead somewhere, the settings are the settings."""

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from portal.check import Code
from portal.cli.main import app
from portal.core.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if "node_modules" not in page.parts),
]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_command_that_is_named_exists() -> None:
    root = get_command(app)
    commands = {name: getattr(command, "commands", {}) for name, command in getattr(root, "commands", {}).items()}
    text = "\n".join(page.read_text() for page in PAGES)
    for name, rest in re.findall(r"\bportal ([a-z]+)(?: ([a-z]+))?", re.sub(r"[^`\n]*(`[^`\n]*`)?", r"\1\n", text)):
        assert name in commands, name
        if commands[name]:
            assert rest in commands[name], f"{name} {rest}"


def test_the_folders_of_the_map_exist() -> None:
    for folder in re.findall(r"^\| `([a-z/]+)`", README, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_the_example_answer_is_json() -> None:
    example = re.search(r"```json\n(.+?)```", README, re.DOTALL)
    assert example
    assert json.loads(example[1])["code"] == Code.VALID


def test_the_settings_page_names_settings_and_their_defaults() -> None:
    rows = re.findall(
        r"^\| `PORTAL_([A-Z_]+)` \| `?([^|`]+?)`? \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 5
    for name, default in rows:
        field = Settings.model_fields[name.lower()]
        assert field.is_required() == (default == "–")
        if not field.is_required():
            assert str(field.default).lower() == default.lower()


def test_every_code_of_the_check_is_described() -> None:
    page = (ROOT / "docs/check.md").read_text()
    for code in Code:
        assert f"`{code.value}`" in page
