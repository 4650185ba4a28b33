"""`portal plan tariff` as it is typed."""

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
    assert (code, err) == (0, "Set. It prices every month of Pro that is not billed yet.\n")
    (charge,) = json.loads(out)["charges"]
    assert (charge["code"], charge["unit"]) == ("calls", "0.01")
    assert await run_portal("plan", "tariff", "pro", **where) == (0, out, "")
    assert await run_portal("plan", "tariff", "free", **where) == (0, "{}\n", "Usage costs nothing on Free.\n")
    async with own.transaction() as tx:
        (row, *_) = await audit.list_newest(tx, "", audit.AuditFilter(action="plan"), most=1)
    assert (row.action, row.details) == ("plan.set_tariff", {"slug": "pro"})


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
