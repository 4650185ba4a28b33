"""`portal rate` and `portal prorate` as they are typed: what is printed, and one line for each mistake."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from portal.cli.main import app
from tests.billing.sample import GRADUATED, VOLUME, document_of
from tests.cli.demo_portal import run_portal

AUGUST = ("--period-from", "2026-08-01", "--period-to", "2026-08-31")
TOO_DEAR = {"model": "per_unit", "unit": "999999999999999"}
PART_FREE = {"model": "per_unit", "unit": "1", "free_units": "0.5"}
LAST_DAYS = ("--from", "2026-08-26", "--to", "2026-08-31")


@pytest.fixture
def tariff(tmp_path: Path) -> Path:
    package = {"model": "package", "size": 100, "price": "10", "free_units": 10}
    return saved(tmp_path, document_of(GRADUATED, package, minimum=None, maximum="150", tax_percent="20"))


def typed(*arguments: str) -> tuple[int, str, str]:
    """What `run_portal` does, in this process: a start costs more than what is tested."""
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def saved(folder: Path, document: Any) -> Path:
    path = folder / "tariff.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


async def test_each_line_is_one_of_json_and_the_total_the_last(tariff: Path) -> None:
    code, out, err = await run_portal("rate", str(tariff), "--units", "111")
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[1] == {
        "kind": "usage",
        "code": "calls",
        "description": "calls, in packages of 100",
        "quantity": "111",
        "amount": "20.00",
        "parts": [
            {"quantity": "10", "unit": "0", "flat": "0", "amount": "0"},
            {"quantity": "2", "unit": "10", "flat": "0", "amount": "20"},
        ],
    }
    assert lines[2]["kind"] == "maximum"
    assert (lines[2]["quantity"], lines[2]["amount"]) == (None, "-483.00")
    assert lines[3] == {"kind": "total", "currency": "EUR", "subtotal": "150.00", "tax": "30.00", "total": "180.00"}
    assert len(lines) == 4


def test_the_currency_may_be_named_or_be_the_files(tariff: Path, tmp_path: Path) -> None:
    _, out, _ = typed("rate", str(tariff), "--units", "0.5", "--currency", "JPY")
    assert json.loads(out.splitlines()[-1])["total"] == "8"
    bare = saved(tmp_path, {"charges": []})
    code, out, _ = typed("rate", str(bare), "--units", "1", "--currency", "KWD")
    assert (code, json.loads(out)["total"]) == (0, "0.000")
    code, _, err = typed("rate", str(bare), "--units", "1")
    assert (code, err) == (2, "portal: currency: `currency` is missing. Give it a value.\n")


@pytest.mark.parametrize(
    ("document", "arguments", "told"),
    [
        ("nonsense", (), "is not JSON. Name a tariff file."),
        ("[" * 100_000, (), "is not JSON. Name a tariff file."),
        ("[]", ("--currency", "EUR"), "portal: This is no object. Its fields are currency, charges"),
        ('{"currency": "EUR", "charges": [], "minimum": 0.5}', (), "portal: minimum: A float is not exact. Write"),
        ('{"currency": "EUR", "a\\nb": 1}', (), "portal: a b: This field is not known."),
        (document_of(), ("--currency", "euro"), "portal: --currency: This is no currency."),
        (document_of(), ("--units", "many"), 'portal: --units: This is no number. Write it out, like "0.002".'),
        (document_of(), ("--days", "32/31"), "portal: --days: This is no share of a period. Write it like 12/31."),
        (document_of(), ("--days", "0/0"), "portal: --days: This is no share"),
        (document_of(), ("--days", "1/-3"), "portal: --days: This is no share"),
        (document_of(), ("--days", "12"), "portal: --days: This is no share"),
        (
            document_of(TOO_DEAR),
            (),
            "portal: charges.0: calls could come to more than can be stored: 9223372036854775807",
        ),
        (document_of(PART_FREE), (), "portal: charges.0.free_units: A part of a unit. Write whole units."),
        (document_of(), ("--units", "-1"), "portal: --units: The number is below 0. Write 0 or more."),
    ],
)
def test_a_mistake_is_one_line_with_what_to_do(
    tmp_path: Path, document: Any, arguments: tuple[str, ...], told: str
) -> None:
    code, out, err = typed("rate", str(saved(tmp_path, document)), "--units", "1", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


FEE = {"model": "flat", "price": "10.00"}
PACKAGES = {"model": "package", "size": 10, "price": "100"}
PRO = {
    "model": "graduated",
    "free_units": 1_000_000,
    "tiers": [{"up_to": 9_000_000, "unit": "0.00006"}, {"unit": "0.00004"}],
}
FIRST_MILLION = {"model": "volume", "tiers": [{"up_to": 1_000_000, "unit": "0.001"}, {"unit": "0.0005"}]}
STEPS = {
    "model": "graduated",
    "tiers": [{"up_to": 10, "unit": 1}, {"up_to": 20, "unit": 1, "flat": 100}, {"unit": 1, "flat": 500}],
}


@pytest.mark.parametrize(
    ("charge", "fields", "units", "days", "total"),
    [
        *[
            (GRADUATED, {}, units, None, f"{total}.00")
            for units, total in {0: 2, 1: 12, 10: 102, 11: 110, 12: 115, 21: 163}.items()
        ],
        *[
            (VOLUME, {}, units, None, total)
            for units, total in {"0": "10.00", "1": "12.00", "100": "210.00", "100.5": "100.50"}.items()
        ],
        *[
            (VOLUME, {}, units, None, total)
            for units, total in {"101": "101.00", "200": "200.00", "300": "200.00"}.items()
        ],
        *[
            (PACKAGES | {"free_units": free}, {}, 121, None, total)
            for free, total in {0: "1300.00", 10: "1200.00", 200: "0.00"}.items()
        ],
        ({"model": "package", "size": 100, "price": "5", "free_units": 100}, {}, 201, None, "10.00"),
        (FEE, {"tax_percent": "20"}, 0, "6/31", "2.33"),
        ({"model": "per_unit", "unit": "0.01"}, {"minimum": "10.00"}, 800, "25/28", "8.93"),
        *[
            (PRO, {}, 20_000_000, days, total)
            for days, total in {"30/30": "940.00", "10/30": "966.67", "1/30": "978.67"}.items()
        ],
        (FIRST_MILLION, {}, 900_000, "1/30", "900.00"),
        (STEPS, {}, 5, "1/30", "5.00"),
        ({"model": "per_unit", "unit": "0.00001"}, {"maximum": "100.00"}, 20_000_000, "1/30", "100.00"),
    ],
)
def test_worked_figures(
    tmp_path: Path, charge: dict[str, Any], fields: dict[str, str], units: int | str, days: str | None, total: str
) -> None:
    """Those of an established biller, and those of the model of plans that one tariff and one stretch of days give."""
    path = saved(tmp_path, document_of(charge, **fields))
    code, out, err = typed("rate", str(path), "--units", str(units), *(() if days is None else ("--days", days)))
    assert (code, err) == (0, "")
    assert json.loads(out.splitlines()[-1])["total"] == total


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, err = await run_portal("rate", str(tmp_path / "none.json"), "--units", "1")
    assert (code, err.count("\n")) == (2, 1)
    assert "none.json cannot be read: No such file or directory. Name a tariff file." in err


async def test_the_command_answers_with_an_amount() -> None:
    arguments = ("--amount", "49", *LAST_DAYS, *AUGUST)
    assert await run_portal("prorate", *arguments) == (0, "9.48\n", "")


@pytest.mark.parametrize(
    ("amount", "currency", "part"),
    [("1000", ("--currency", "JPY"), "194"), ("10.00", (), "1.94"), ("-10", ("--currency", "EUR"), "-1.94")],
)
def test_the_prorated_amount_is_printed(amount: str, currency: tuple[str, ...], part: str) -> None:
    assert typed("prorate", "--amount", amount, *LAST_DAYS, *AUGUST, *currency) == (0, f"{part}\n", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--amount", "1.5e3"), "--amount: This is no number."),
        (("--currency", "€"), "--currency: This is no currency."),
        (("--from", "tomorrow"), "--from: This is not a day. Write it like 2026-11-10."),
        (("--from", "2026-07-31"), "--from: The first day is before the period. It is 2026-08-01 to 2026-08-31."),
        (("--to", "2026-09-01"), "--to: The last day is after the period."),
        (("--to", "2026-08-25"), "--to: The last day is before the first."),
        (("--period-to", "2026-07-31"), "--period-to: The period ends before it begins."),
    ],
)
def test_what_cannot_be_prorated_is_one_line(arguments: tuple[str, ...], told: str) -> None:
    code, out, err = typed("prorate", "--amount", "10", *LAST_DAYS, *AUGUST, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"portal: {told}")
