"""`portal plan` as it is typed."""

import json
from pathlib import Path

from portal import audit
from portal.core.database import Database
from tests.cli.demo_portal import run_portal

TARIFF = {"currency": "EUR", "charges": [{"code": "calls", "model": "per_unit", "unit": "0.01"}]}


async def test_a_tariff_is_set_and_printed(own: Database, where: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "tariff.json"
    file.write_text(json.dumps(TARIFF))
    code, out, err = await run_portal("plan", "tariff", "pro", str(file), **where)
    assert (code, err) == (0, "Version 2 of Pro. Accounts on an earlier version keep its prices, limits and quota.\n")
    (charge,) = json.loads(out)["charges"]
    assert (charge["code"], charge["unit"]) == ("calls", "0.01")
    assert await run_portal("plan", "tariff", "pro", **where) == (0, out, "")
    assert await run_portal("plan", "tariff", "free", **where) == (0, "{}\n", "Usage costs nothing on Free.\n")
    async with own.transaction() as tx:
        (row, *_) = await audit.list_newest(tx, "", audit.AuditFilter(action="plan"), most=1)
    assert (row.action, row.details) == ("plan.set_tariff", {"slug": "pro", "version": 2})


async def test_what_is_wrong_is_refused_and_changes_nothing(where: dict[str, str], tmp_path: Path) -> None:
    _, before, _ = await run_portal("plan", "tariff", "pro", **where)
    file = tmp_path / "tariff.json"
    file.write_text(json.dumps(TARIFF | {"currency": "USD"}))
    code, _, err = await run_portal("plan", "tariff", "pro", str(file), **where)
    assert (code, "priced in EUR" in err, err.count("\n")) == (1, True, 1)
    code, _, err = await run_portal("plan", "tariff", "pri", str(file), **where)
    assert (code, "There are: free, pro, enterprise." in err) == (1, True)
    file.write_text(json.dumps(TARIFF | {"charges": [{"code": "calls", "model": "by_mood"}]}))
    code, _, err = await run_portal("plan", "tariff", "pro", str(file), **where)
    assert (code, "charges.0.model" in err) == (2, True)
    assert await run_portal("plan", "tariff", "pro", **where) == (0, before, "")


async def test_a_plan_is_created_shown_changed_and_retired(where: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    limit = {"name": "burst", "amount": 5, "window_ms": 1000, "algorithm": "sliding_window", "per": "key"}
    file.write_text(json.dumps({"slug": "team", "name": "Team", "price": "9.50", "limits": [limit], "tariff": TARIFF}))
    code, out, err = await run_portal("plan", "create", str(file), **where)
    assert (code, err) == (0, "Created. Accounts may choose Team now.\n")
    created = json.loads(out)
    assert (created["version"], created["rank"], created["price"], created["limits"]) == (1, 4, "9.50", [limit])
    code, out, err = await run_portal("plan", "create", str(file), **where)
    assert (code, "There is a plan team already." in err) == (1, True)
    file.write_text(json.dumps({"price": "12"}))
    code, out, err = await run_portal("plan", "version", "team", str(file), **where)
    assert (code, json.loads(out)["version"]) == (0, 2)
    assert err == "Version 2 of Team. Accounts on an earlier version keep its prices, limits and quota.\n"
    code, out, err = await run_portal("plan", "version", "team", str(file), **where)
    assert (code, err) == (0, "No new version: Team stays at version 2.\n")
    code, shown, err = await run_portal("plan", "show", "team", "--version", "1", **where)
    assert (code, json.loads(shown)["price"], err.startswith("Version 1 of v2 ")) == (0, "9.50", True)
    file.write_text(shown.replace("team", "team-2").replace('"rank": 4', '"rank": 40'))
    assert (await run_portal("plan", "create", str(file), **where))[0] == 0, "what is shown can be created"
    assert (await run_portal("plan", "show", "team", "--version", "3", **where))[0] == 1
    assert (await run_portal("plan", "retire", "team", **where))[0] == 0
    code, listed, _ = await run_portal("plan", "list", **where)
    assert code == 0
    assert [line.split()[1] for line in listed.splitlines()] == ["free", "pro", "enterprise", "team", "team-2"]
    assert "retired" in listed.splitlines()[3]
    code, as_json, _ = await run_portal("plan", "list", "--json", **where)
    assert [plan["slug"] for plan in json.loads(as_json)] == ["free", "pro", "enterprise", "team", "team-2"]
    file.write_text("[]")
    assert (await run_portal("plan", "create", str(file), **where))[0] == 2
    file.write_text('{"slug": "x", "name": "X", "tariff": {"currency": "EUR", "charges": [{"code": "c"}]}}')
    code, _, err = await run_portal("plan", "create", str(file), **where)
    assert (code, err.startswith("portal: tariff.charges.0.model")) == (2, True)
    assert (await run_portal("audit", "verify", **where))[0] == 0
