"""setTimeZone: the choice of a zone over GraphQL, what waits, and how it is refused."""

from portal.core.actor import Actor
from tests.graphql.conftest import Answer

SET = """
mutation Set($timeZone: String!) {
  setTimeZone(timeZone: $timeZone) {
    ... on TimeZoneSet { account { timeZone nextTimeZone nextTimeZoneFrom } }
    ... on Problem { code message path }
  }
}
"""
NOW = "{ viewer { account { timeZone nextTimeZone nextTimeZoneFrom } } quota { periodStart periodEnd } }"


async def test_a_zone_waits_for_the_next_period_and_is_withdrawn(answer: Answer, owner: Actor) -> None:
    before = await answer(owner, NOW)
    assert before["viewer"]["account"] == {"timeZone": "UTC", "nextTimeZone": None, "nextTimeZoneFrom": None}
    waiting = {"timeZone": "UTC", "nextTimeZone": "Asia/Tokyo", "nextTimeZoneFrom": before["quota"]["periodEnd"]}
    assert (await answer(owner, SET, timeZone="Asia/Tokyo"))["setTimeZone"]["account"] == waiting
    after = await answer(owner, NOW)
    assert (after["viewer"]["account"], after["quota"]) == (waiting, before["quota"])
    refused = (await answer(owner, SET, timeZone="Europe/Berlin"))["setTimeZone"]
    assert (refused["code"], refused["path"]) == ("CONFLICT", ["timeZone"])
    assert (await answer(owner, SET, timeZone="UTC"))["setTimeZone"]["account"] == before["viewer"]["account"]
    unknown = (await answer(owner, SET, timeZone="Mars/Olympus"))["setTimeZone"]
    assert (unknown["code"], unknown["path"]) == ("INVALID", ["timeZone"])
