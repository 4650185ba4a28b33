"""A stale page saves over nothing that it has not shown, and keeps what was typed."""

import re
from typing import Any

import pytest

from portal import keys
from portal.core.database import Database
from tests.web.conftest import Browser

CHANGES: dict[str, tuple[keys.KeyChanges, str]] = {
    "name": (keys.KeyChanges(name="Renamed elsewhere"), "changed name"),
    "scopes": (keys.KeyChanges(scopes=["tab1:read"]), "changed scopes"),
    "allowedIps": (keys.KeyChanges(allowed_ips=["203.0.113.0/24"]), "changed allowed addresses"),
    "metadata": (keys.KeyChanges(metadata={"a": 1}), "changed metadata"),
    "limits": (keys.KeyChanges(limits=[keys.KeyLimit("hourly", 5, 3_600_000)]), "changed own limits"),
}
FIELDS = ("version", "name", "nameBefore", "scopes", "scopesBefore", "allowedIps", "allowedIpsBefore", "expiresAt")


async def form_of(browser: Browser, key_id: str) -> dict[str, str]:
    """What the settings form sends if nothing is changed in it."""
    return fields_in((await browser.get(f"/keys/{key_id}")).text)


def fields_in(page: str) -> dict[str, str]:
    form = page.partition('/update"')[2].partition("</form>")[0]
    inputs = dict(re.findall(r'name="(\w+)"[^>]*? value="([^"]*)"', form))
    return inputs | dict(re.findall(r'name="(\w+)"[^>]*>([^<]*)</textarea>', form))


async def stored(browser: Browser, database: Database, key_id: str) -> keys.Key:
    async with database.transaction(browser.actor.account_id) as tx:
        return await keys.get_key(tx, browser.actor.account_id, key_id)


@pytest.mark.parametrize("theirs", [*CHANGES])
@pytest.mark.parametrize("mine", ["name", "scopes", "allowedIps", "expiresAt"])
async def test_a_stale_page_changes_nothing_and_says_who_changed_what(
    ann: Browser, database: Database, mine: str, theirs: str
) -> None:
    key_id = await ann.create_key()
    stale = await form_of(ann, key_id)
    changes, words = CHANGES[theirs]
    async with database.transaction(ann.actor.account_id) as tx:
        await keys.update_key(tx, ann.actor, key_id, changes)
    before = await stored(ann, database, key_id)
    typed = {"name": "Mine", "scopes": "mine:read", "allowedIps": "198.51.100.7", "expiresAt": "2031-05-06"}[mine]
    refused = await ann.submit(f"/keys/{key_id}/update", **(stale | {mine: typed}))
    assert refused.status_code == 409
    assert f"You have {words} on another page meanwhile" in refused.text
    assert keys.settings_version(await stored(ann, database, key_id)) == keys.settings_version(before)
    shown = fields_in(refused.text)
    assert shown[mine] == typed
    saved = await ann.submit(f"/keys/{key_id}/update", **shown)  # looked at, and saved over
    assert saved.status_code == 303
    after = await stored(ann, database, key_id)
    kept: dict[str, Any] = {"name": after.name, "scopes": after.scopes, "allowedIps": after.allowed_ips}
    if mine != theirs and theirs in kept:
        assert kept[theirs] == {"name": before.name, "scopes": before.scopes, "allowedIps": before.allowed_ips}[theirs]
    assert (after.attributes, after.limits) == (before.attributes, before.limits)


async def test_a_colleagues_name_is_told_and_pausing_is_no_change_of_settings(ann: Browser, database: Database) -> None:
    key_id = await ann.create_key()
    page = await form_of(ann, key_id)
    async with database.transaction(ann.actor.account_id) as tx:
        await keys.pause_key(tx, ann.actor, key_id)
    assert (await ann.submit(f"/keys/{key_id}/update", **(page | {"name": "Two"}))).status_code == 303


async def test_saving_nothing_records_nothing(ann: Browser, database: Database) -> None:
    key_id = await ann.create_key()
    await ann.submit(f"/keys/{key_id}/update", **(await form_of(ann, key_id)))
    log = await ann.get(f"/activity?subject={key_id}")
    assert "key.create" in log.text
    assert "key.update" not in log.text


async def test_graphql_saves_with_a_version_or_without(ann: Browser) -> None:
    key_id = await ann.create_key()
    seen = (await _graphql(ann, "query($id: ID!) { key(id: $id) { version } }", {"id": key_id}))["key"]["version"]
    update = """mutation($input: UpdateKeyInput!) { updateKey(input: $input) {
        ... on KeyChanged { key { version name scopes } } ... on ConflictProblem { code message path } } }"""
    first = await _graphql(ann, update, {"input": {"id": key_id, "scopes": ["a:b"], "version": seen}})
    assert first["updateKey"]["key"]["version"] != seen
    stale = await _graphql(ann, update, {"input": {"id": key_id, "name": "x", "version": seen}})
    assert (stale["updateKey"]["code"], stale["updateKey"]["path"]) == ("CONFLICT", ["version"])
    assert "changed scopes" in stale["updateKey"]["message"]
    nonsense = await _graphql(ann, update, {"input": {"id": key_id, "name": "x", "version": "nonsense"}})
    assert nonsense["updateKey"]["code"] == "CONFLICT"
    free = await _graphql(ann, update, {"input": {"id": key_id, "name": "Free"}})
    assert (free["updateKey"]["key"]["name"], free["updateKey"]["key"]["scopes"]) == ("Free", ["a:b"])


async def _graphql(browser: Browser, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    headers = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"}
    answer = await browser.client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
    document = answer.json()
    assert "errors" not in document, document
    data: dict[str, Any] = document["data"]
    return data
