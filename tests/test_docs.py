"""The documents keep their promises: commands exist, links lead somewhere, the settings are the settings."""

import ast
import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.main import get_command

from portal.check import Code
from portal.cli.main import app
from portal.core.settings import Settings

ROOT = Path(__file__).parent.parent
_spec = spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert _spec
assert _spec.loader
generate = module_from_spec(_spec)
_spec.loader.exec_module(generate)
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if "node_modules" not in page.parts),
]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("document", PAGES, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", document.read_text()):
        page = (document.parent / target) if target else document
        assert page.exists(), target
        if anchor and page.suffix == ".md":
            assert anchor in anchors(page), f"{target}#{anchor}"


@pytest.mark.parametrize("document", PAGES, ids=lambda document: str(document.relative_to(ROOT)))
def test_no_page_holds_a_conflict(document: Path) -> None:
    assert not re.search(r"^(<{7} |={7}$|>{7} )", document.read_text(), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", PAGES, ids=lambda document: str(document.relative_to(ROOT)))
def test_outer_links_are_well_formed(document: Path) -> None:
    for target in re.findall(r"\]\((https?://[^)]*)\)", document.read_text()):
        parts = urlsplit(target)
        assert parts.scheme == "https", target
        assert parts.hostname, target
        assert "." in parts.hostname, target
        assert " " not in target, target


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


def test_settings_that_pages_mention_exist_and_each_says_what_it_is() -> None:
    text = "\n".join(page.read_text() for page in PAGES if page.name != "CHANGELOG.md")  # which names what is gone
    names = set(re.findall(r"`PORTAL_([A-Z_]+)`", text))
    assert names <= {name.upper() for name in Settings.model_fields}, names
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_the_codes(name: str) -> None:
    committed = (ROOT / "docs" / "reference" / name).read_text()
    assert committed == generate.PAGES[name](), "run `.venv/bin/python docs/generate.py`"


def test_every_code_of_the_check_is_described() -> None:
    page = (ROOT / "docs/check.md").read_text()
    for code in Code:
        assert f"`{code.value}`" in page


def test_every_code_of_graphql_is_documented() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text()
    for folder in ("portal/graphql", "web/graphql"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("request_error", "refusal"):
                    code = node.args[0]
                    if isinstance(code, ast.Constant):
                        assert f"`{code.value!s}`" in page, f"{path}: {code.value!r}"


@pytest.mark.parametrize("document", PAGES, ids=lambda document: str(document.relative_to(ROOT)))
def test_files_that_pages_name_exist(document: Path) -> None:
    for name in re.findall(
        r"`((?:portal|web|workers|tests|bench|docs|migrations)/[\w/.-]+\.\w+)`", document.read_text()
    ):
        assert (ROOT / name).exists(), name
