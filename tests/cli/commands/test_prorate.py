"""`portal prorate period.json`: a period is decided and billed as the portal does it; a mistake is one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from portal.cli.main import app
from tests.cli.demo_portal import run_portal
from tests.plans.plan_model import ENTERPRISE, PRO

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "pricing.md"
PLANS: list[dict[str, Any]] = [
    {"name": "Free", "rank": 1, "quota": 10_000},
    {"name": "Pro", "rank": 2, "price": "49", "tariff": PRO.tariff},
    {"name": "Enterprise", "rank": 3, "price": "990", "tariff": ENTERPRISE.tariff},
]
MILLION = 1_000_000


def saved(folder: Path, **fields: Any) -> Path:
    path = folder / "period.json"
    path.write_text(json.dumps({"period": "2026-11", "plans": PLANS, **fields}))
    return path


def priced(folder: Path, **fields: Any) -> tuple[list[dict[str, Any]], list[str], str]:
    """Return the changes, the amounts of the lines, and the total."""
    result = CliRunner().invoke(app, ("prorate", str(saved(folder, **fields))))
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    changes = [line for line in lines if line["kind"] == "change"]
    assert lines[: len(changes)] == changes
    return changes, [line["amount"] for line in lines[len(changes) : -1]], lines[-1]["total"]


def choose(at: str, plan: str, **fields: Any) -> dict[str, Any]:
    return {"at": f"2026-11-{at}", "do": "choose", "plan": plan, **fields}


def undo(at: str) -> dict[str, Any]:
    return {"at": f"2026-11-{at}", "do": "undo"}


def used(at: str, units: int) -> dict[str, Any]:
    return {"at": f"2026-11-{at}", "units": units}


@pytest.mark.parametrize(
    ("start", "changes", "usage", "amounts"),
    [
        ("Pro", [], [used("05", 20 * MILLION)], ["940.00", "49.00"]),
        (
            "Pro",
            [choose("20T09:00", "Enterprise")],
            [used("19T23:59:59", 3 * MILLION), used("20", 25 * MILLION)],
            ["345.03", "142.00", "120.00", "990.00"],
        ),
        ("Pro", [choose("03T09:00", "Enterprise"), undo("03T09:01")], [], ["0.00", "49.00"]),
        (
            "Free",
            [choose("30T00:01", "Enterprise"), choose("30T23:59", "Free")],
            [used("30T12:00", 20 * MILLION)],
            ["33.00", "0.00", "330.00"],
        ),
        (None, [{"at": "2026-11-20T17:00", "do": "open", "plan": "Pro"}], [], ["17.97", "0.00", "49.00"]),
        ("Pro", [choose("01", "Free")], [], ["0.00"]),
    ],
)
def test_the_worked_figures(
    tmp_path: Path, start: str | None, changes: list[Any], usage: list[Any], amounts: list[str]
) -> None:
    assert priced(tmp_path, start=start, changes=changes, usage=usage)[1] == amounts


def test_changes_say_what_they_are_and_what_they_lead_to(tmp_path: Path) -> None:
    steps = [
        undo("02"),
        choose("03T09:00", "Enterprise"),
        undo("03T10:00"),
        choose("03T11:00", "Enterprise"),
        undo("03T12:00"),
        undo("03T12:30"),
        {"at": "2026-11-04", "do": "withdraw"},
        {"at": "2026-11-05", "do": "move", "plan": "Free"},
    ]
    changes, _, total = priced(tmp_path, start="Pro", changes=steps)
    told = [(change["change"], change.get("amount"), change.get("next_plan")) for change in changes]
    assert told == [
        ("refused", None, None),
        ("upgrade", "878.27", "Enterprise"),
        ("undo", "-878.27", "Pro"),
        ("upgrade", "878.27", "Enterprise"),
        ("downgrade", "0.00", "Pro"),
        ("nothing", None, None),
        ("withdrawal", "0.00", "Enterprise"),
        ("refused", None, None),
    ]
    assert changes[4]["description"] == changes[5]["description"] == "Not undone: the period's one undo was used."
    assert "There is no upgrade of today to undo." in changes[0]["description"]
    assert total == "1868.27"


def test_what_was_used_decides_whether_an_undo_fits(tmp_path: Path) -> None:
    steps = [choose("03T09:00", "Pro"), undo("03T10:00")]
    changes, _, _ = priced(tmp_path, start="Free", changes=steps, usage=[used("02", 9_000), used("03T09:30", 1_001)])
    assert changes[1]["description"] == "Not undone: what was used does not fit the old plan."
    changes, _, _ = priced(tmp_path, start="Free", changes=steps, usage=[used("02", 9_000), used("03T10:00", 1_001)])
    assert (changes[1]["change"], changes[1]["quota"]) == ("undo", 10_000)


def test_times_without_an_offset_are_those_of_the_account(tmp_path: Path) -> None:
    late = {"at": "2026-11-19T23:30:00Z", "do": "choose", "plan": "Enterprise"}
    for zone, amount in (("UTC", "376.40"), ("Europe/Berlin", "345.03")):
        assert priced(tmp_path, start="Pro", time_zone=zone, changes=[late])[1][0] == amount
    assert priced(tmp_path, start="Pro", time_zone="Europe/Berlin", changes=[choose("20", "Enterprise")])[0][0][
        "at"
    ] == ("2026-11-19T23:00:00+00:00")


async def test_the_guides_example_is_priced(tmp_path: Path) -> None:
    example = GUIDE.read_text().split('```json\n{"period"')[1].split("```")[0]
    path = tmp_path / "period.json"
    path.write_text('{"period"' + example)
    code, out, err = await run_portal("prorate", str(path))
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["change"] for line in lines if line["kind"] == "change"] == ["upgrade", "downgrade"]
    assert lines[-1] == {"kind": "total", "currency": "EUR", "subtotal": "175.97", "tax": "0.00", "total": "175.97"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "start: The account has to begin with one plan. Name the plan"),
        ({"start": "Gold"}, "start: There is no such plan. There are: Free, Pro, Enterprise."),
        ({"start": "Pro", "changes": [choose("03", "Pro", version=2)]}, "changes.0.plan: There is no such plan."),
        ({"start": "Pro", "changes": [{"at": "2026-11-03", "do": "choose"}]}, "changes.0.plan: There is no such plan."),
        (
            {"start": "Pro", "changes": [{"at": "2026-11-03", "do": "upgrade"}]},
            "changes.0.do: Input should be 'open', ",
        ),
        ({"start": "Pro", "changes": [{"at": "2026-12-01", "do": "undo"}]}, "changes.0.at: This is not in the period."),
        ({"start": "Pro", "changes": [undo("03"), undo("03")]}, "changes: The changes are not in order."),
        ({"start": "Pro", "changes": [{"at": "2026-11-03", "do": "open", "plan": "Pro"}]}, "start: The account has to"),
        ({"start": "Pro", "usage": [used("03", -1)]}, "usage.0.units: Input should be greater than or equal to 0."),
        ({"start": "Pro", "usage": [{"at": "2026-10-31", "units": 1}]}, "usage.0.at: This is not in the period."),
        ({"start": "Pro", "period": "2026-13"}, "period: String should match"),
        ({"start": "Pro", "time_zone": "Mars/Olympus"}, "time_zone: This is no time zone, like Europe/Berlin."),
        ({"start": "Pro", "time_zone": "../etc"}, "time_zone: This is no time zone"),
        ({"start": "Pro", "currency": "USD"}, "plans.1.tariff.currency: This tariff is in EUR. Write it in USD."),
        ({"start": "Pro", "currency": "euro"}, "currency: This is no currency."),
        ({"start": "Pro", "plan": "Pro"}, "plan: Extra inputs are not permitted."),
        ({"start": "Pro", "plans": []}, "plans: List should have at least 1 item"),
        ({"start": "a", "plans": [{"name": "a", "rank": 1, "price": 0.5}]}, "plans.0.price: A float is not exact."),
        ({"start": "a", "plans": [{"name": "a", "rank": 1, "price": "-1"}]}, "plans.0.price: The number is below 0."),
        ({"start": "a", "plans": [{"name": "a", "rank": 1}] * 2}, "plans.1: There are two of a."),
        ({"start": "a", "plans": [{"name": "a", "rank": 1, "tariff": {"x": 1}}]}, "plans.0.tariff"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    result = CliRunner().invoke(app, ("prorate", str(saved(tmp_path, **fields))))
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"portal: {told}")


@pytest.mark.parametrize(
    ("text", "told"), [("nonsense", "is not JSON"), ("[" * 100_000, "is not JSON"), (None, "No such")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "period.json"
    if text is not None:
        path.write_text(text)
    result = CliRunner().invoke(app, ("prorate", str(path)))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert told in result.stderr


def test_without_a_file_all_five_options_are_needed() -> None:
    result = CliRunner().invoke(app, ("prorate", "--amount", "10"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "portal: --from: This option is missing. Give all five options, or a file of a period.\n"
