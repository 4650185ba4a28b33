"""The usage page agrees with what was counted."""

import re
from datetime import datetime, timedelta

from portal import keys
from portal.core.clock import to_microseconds, utc_now
from portal.core.database import Database
from portal.core.ids import encode_128
from portal.usage import UsageRecord, encode_batch, ingest_usage
from tests.usage.sample import record
from tests.web.conftest import Browser


async def count(database: Database, ann: Browser, key_id: str, codes: dict[str, int]) -> datetime:
    """So many calls of each code, an hour ago."""
    account_id = ann.actor.account_id
    async with database.transaction(account_id) as tx:
        (secret,) = await keys.list_secrets(tx, account_id, [key_id])
    at = utc_now() - timedelta(hours=1)
    records: list[UsageRecord] = []
    for code, calls in codes.items():
        for _ in range(calls):
            request_id = f"req_{encode_128(to_microseconds(at) << 72 | len(records))}"
            resource = "GET /v1/<search>" if len(records) % 2 else ""
            names = (account_id, key_id, secret.id, "live", resource, code)
            records.append(UsageRecord(request_id, *names, 1, f"{at:%Y-%m}"))
    await ingest_usage(database, encode_batch(records))
    return at


def figures(text: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))


async def test_totals_reasons_and_table_agree(ann: Browser, database: Database) -> None:
    key_id = await ann.create_key()
    await count(database, ann, key_id, {"VALID": 1234, "RATE_LIMITED": 20, "INSUFFICIENT_SCOPE": 6})
    page = await ann.get("/usage?range=24h")
    shown = figures(page.text)
    assert (shown["Requests"], shown["Allowed"], shown["Denied"]) == ("1,260", "1,234", "26")
    assert "2.1% · mostly RATE_LIMITED" in page.text
    rows = [re.findall(r">([\d,]+)<", row) for row in re.findall(r'<th scope="row">.*?</th>(.*?)</tr>', page.text)]
    assert len(rows) == 24
    sums = [sum(int(text.replace(",", "")) for text in column) for column in zip(*rows, strict=True)]
    assert sums == [1234, 26, 1260]
    assert "times in UTC" in page.text


async def test_groups_and_filters_live_in_the_address(ann: Browser, database: Database) -> None:
    key_id = await ann.create_key()
    await count(database, ann, key_id, {"VALID": 10, "RATE_LIMITED": 2})
    by_key = await ann.get("/usage?group=key")
    assert f"key={key_id}" in by_key.text
    by_endpoint = await ann.get("/usage?group=endpoint")
    assert "GET /v1/&lt;search&gt;" in by_endpoint.text
    assert "not given" in by_endpoint.text
    assert figures((await ann.get("/usage?endpoint=-")).text)["Requests"] == "6"
    assert figures((await ann.get("/usage?outcome=RATE_LIMITED")).text)["Denied"] == "2"
    assert figures((await ann.get("/usage?environment=test")).text)["Requests"] == "0"
    assert figures((await ann.get("/usage?key=key_unknown")).text)["Requests"] == "0"
    for link in re.findall(r'href="(/usage\?[^"]+)"', by_endpoint.text):
        assert (await ann.get(link.replace("&amp;", "&"))).status_code == 200


async def test_a_wrong_range_is_explained(ann: Browser) -> None:
    page = await ann.get("/usage?range=custom&from=2026-02-30&to=x")
    assert page.status_code == 200
    assert "The last 30 days are shown instead." in page.text
    assert 'aria-describedby="range-problem"' in page.text


async def test_the_quota_is_shown(ann: Browser) -> None:
    page = await ann.get("/usage")
    assert "Quota used" in page.text
    assert re.search(r"0 of [\d,]+ · <span class=.whole.>resets 1 ", page.text)


async def test_another_accounts_usage_is_not_counted(ann: Browser, browsers: object, database: Database) -> None:
    assert callable(browsers)
    other = await browsers()
    await count(database, other, await other.create_key(), {"VALID": 5})
    assert figures((await ann.get("/usage")).text)["Requests"] == "0"


async def test_the_period_before_stands_beside_it(ann: Browser, database: Database) -> None:
    account_id, at = ann.actor.account_id, utc_now()
    now = [record(number, at - timedelta(hours=1), account_id=account_id) for number in range(3)]
    before = [record(number, at - timedelta(hours=30), account_id=account_id) for number in range(2)]
    await ingest_usage(database, encode_batch(now + before))
    page = await ann.get("/usage?range=24h")
    assert "+50% vs." in page.text
    assert ": 2 requests</span>" in page.text
    assert page.text.count('<path class="before"') == 2
    assert '<th scope="col" class="num">Period before</th>' in page.text
    none = await ann.get("/usage?range=custom&from=2020-01-01&to=2020-01-31")
    assert "no earlier period to compare with" in none.text
    assert "Period before" not in none.text


async def test_the_export_takes_what_the_page_shows(ann: Browser, database: Database) -> None:
    key_id = await ann.create_key()
    await count(database, ann, key_id, {"VALID": 5, "RATE_LIMITED": 3})
    page = await ann.get("/usage?range=24h&outcome=RATE_LIMITED&endpoint=-")
    form = page.text[page.text.index('action="/usage/export"') :]
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[: form.index("</form>")]))
    assert set(fields) == {"from", "to", "outcome", "resource"}
    answer = await ann.client.get("/usage/export", params={**fields, "rows": "events", "format": "jsonl"})
    assert len(answer.text.splitlines()) == int(figures(page.text)["Requests"])
    assert f">request ({figures(page.text)['Requests']})" in page.text
