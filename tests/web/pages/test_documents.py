"""What lies beside the code: documents, templates, vendored files."""

import re
from hashlib import sha256
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate
from jinja2 import StrictUndefined, UndefinedError

from web.http.assets import FOLDER as STATIC
from web.pages.framework.templates import ENVIRONMENT, FOLDER
from web.routes import ACTIONS, PAGES

DOCUMENTS = sorted(FOLDER.rglob("*.graphql"))
TEMPLATES = sorted(FOLDER.rglob("*.html"))
SCHEMA = Path(__file__).parents[3] / "schema.graphql"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_document_is_valid(path: Path) -> None:
    assert not validate(build_schema(SCHEMA.read_text()), parse(path.read_text()))


def test_every_row_has_its_files() -> None:
    known = {path.relative_to(FOLDER).with_suffix("").as_posix() for path in DOCUMENTS}
    assert {page.name for page in PAGES} | {action.name for action in ACTIONS} | {
        "keys/find",
        "keys/reveal",
        "explorer/show",
        "settings/reveal",
    } == known
    for page in PAGES:
        assert (FOLDER / f"{page.name}.html").is_file()


def test_a_template_cannot_show_what_was_not_asked_for() -> None:
    assert ENVIRONMENT.undefined is StrictUndefined
    with pytest.raises(UndefinedError):
        ENVIRONMENT.from_string("{{ key.color }}").render(key={"name": "x"})


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_templates_hold_no_script_style_or_handler_inline(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", text)
    assert "hx-on" not in text
    assert "hx-vals='js" not in text


def test_vendored_files_are_the_ones_that_were_reviewed() -> None:
    vendor = STATIC / "vendor"
    listed = {}
    for line in (vendor / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        listed[name] = digest
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in vendor.iterdir() if path.name != "SHA256SUMS"}
    assert found == listed
