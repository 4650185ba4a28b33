"""The walks themselves: what is asked, how often, and what is recorded of it. Runs in a thread beside the portal."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

from tests.walks.attribution import Call, IdleCalls, Walk, collect_idle, intersect, select_caused
from tests.walks.browser import Browser, Request, WrongAnswer
from tests.walks.recorder import Recorder

WARM_UPS, MAX_TRIES = 4, 10
IDLE_SECONDS = 12.0
"""Twice the longest round of a worker that never sleeps for minutes, and some."""
GRACE_SECONDS = 0.02
"""What a request does right after its answer (close a transaction) belongs to it. Well below the shipper's delay."""
INGEST_SECONDS = 1.0
COUNTED_SECONDS = 20.0
PAUSE_SECONDS = (0.5, 0.9)
"""Between repetitions: longer than the follow-ups of a mutation, and never in step with a worker's round."""
CREATE_KEY = """
mutation Walk($input: CreateKeyInput!) {
  createKey(input: $input) {
    __typename
    ... on CreatedKey { secret key { id name status maskedSecret } }
    ... on Problem { code message path }
  }
}
"""
COUNT = "query Walk($from: DateTime!, $to: DateTime!) { usage(from: $from, to: $to) { totals { calls } } }"


@dataclass(frozen=True, slots=True)
class Plan:
    """`prepare` opens the connection and returns the request; `wait_seconds` is recorded after the answer."""

    name: str
    guide: int
    prepare: Callable[[], Request]
    is_right: Callable[[bytes], bool]
    wait_seconds: float = GRACE_SECONDS

    @property
    def is_ingested(self) -> bool:
        """Whether it goes on behind the answer."""
        return self.wait_seconds == INGEST_SECONDS


def measure_walks(recorder: Recorder, facts: Mapping[str, Any], repeat: int) -> dict[Plan, Walk]:
    """Walk by walk, on a portal whose ready file says `facts`. Raises WrongAnswer."""
    browser = Browser(facts["url"])
    login = facts["logins"]["developer"]
    browser.sign_in(login["email"], login["password"])
    plans = _plans(browser, facts)
    for plan in plans:
        for _ in range(WARM_UPS):
            _warm_up(plan)
    sleep(PAUSE_SECONDS[1] * 2)
    recorder.start()
    sleep(IDLE_SECONDS)
    idle = collect_idle(recorder.stop())
    counted = _Counted(browser, login["token"])
    walks = {}
    for plan in plans:
        before = counted.calls()
        walks[plan] = intersect(_repeat(recorder, plan, idle, repeat))
        if plan.is_ingested:
            counted.wait_for(before + repeat)
    return walks


def _repeat(recorder: Recorder, plan: Plan, idle: IdleCalls, repeat: int) -> list[Sequence[Call]]:
    found: list[Sequence[Call]] = []
    for _ in range(repeat):
        sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 a distance, not a secret
        request = plan.prepare()
        sleep(GRACE_SECONDS)
        recorder.start()
        try:
            content = request.send()
            sleep(plan.wait_seconds)
        finally:
            calls = recorder.stop()
            request.close()
        _require(plan, content)
        found.append(select_caused(calls, idle, with_background=plan.is_ingested))
    return found


def _warm_up(plan: Plan) -> None:
    """Ask until it is answered: on a machine under load the first page may take longer than it is given."""
    for tries_left in reversed(range(MAX_TRIES)):
        try:
            _require(plan, plan.prepare().fetch())
        except WrongAnswer:
            if not tries_left:
                raise
            sleep(PAUSE_SECONDS[1])
        else:
            return


def _require(plan: Plan, content: bytes) -> None:
    if not plan.is_right(content):
        raise WrongAnswer(f"{plan.name}: {content[:500].decode(errors='replace')}")


def _plans(browser: Browser, facts: Mapping[str, Any]) -> list[Plan]:
    developer = facts["logins"]["developer"]["token"]
    key = facts["keys"]["pro"]

    def check() -> Request:
        body = {"key": key, "resource": "GET /v1/search"}
        return browser.prepare_json("/check", body, facts["service_token"])

    def create_key() -> Request:
        variables = {"input": {"name": "Walk", "scopes": ["orders:read"]}}
        return browser.prepare_json("/graphql", {"query": CREATE_KEY, "variables": variables}, developer)

    def page(path: str) -> Callable[[], Request]:
        return lambda: browser.prepare_page(path)

    return [
        Plan("warm check to its answer", 16, check, _is_valid, wait_seconds=0),
        Plan("createKey over HTTP", 36, create_key, lambda content: b'"CreatedKey"' in content),
        Plan("page /usage", 42, page("/usage"), _is_page),
        Plan("check to its buckets", 26, check, _is_valid, wait_seconds=INGEST_SECONDS),
        Plan("page /invoices", 40, page("/invoices"), _is_page),
        Plan("page /keys", 42, page("/keys"), _is_page),
    ]


def _is_valid(content: bytes) -> bool:
    return bool(json.loads(content).get("code") == "VALID")


def _is_page(content: bytes) -> bool:
    return b"</html>" in content


class _Counted:
    """What GraphQL says that was counted in the hours around now: the proof that a walk reached its buckets."""

    def __init__(self, browser: Browser, token: str) -> None:
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self._range = {"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(hours=3)).isoformat()}
        self._browser = browser
        self._token = token

    def calls(self) -> int:
        document = {"query": COUNT, "variables": self._range}
        answer = json.loads(self._browser.prepare_json("/graphql", document, self._token).fetch())
        try:
            return int(answer["data"]["usage"]["totals"]["calls"])
        except (KeyError, TypeError):
            raise WrongAnswer(f"usage: {answer}") from None

    def wait_for(self, calls: int) -> None:
        until = monotonic() + COUNTED_SECONDS
        while self.calls() < calls:
            if monotonic() > until:
                raise WrongAnswer(f"Of {calls} checks {self.calls()} were counted.")
            sleep(0.2)
