"""The kinds of checks whose cost is compared, and the keys for them, made over GraphQL on a demo portal.

windows   two sliding windows and a quota, keys of the Pro account; overrides so high that everything is admitted,
          and so short that a window's log holds about a hundred units, as that of a busy key does
buckets   two token buckets and a quota: no plan of the demo has any, so the Enterprise plan is given them in the
          database before an account subscribes to it
denied    a sliding window that is full for a day
batch     the keys of `windows`, 100 checks a request
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from bench.closed_loop import encode_request
from bench.contender import WrongAnswers
from bench.demo_portal import DemoPortal

KEYS = 50
DENIED_KEYS = 10
BATCH = 100
MANY = 1_000_000_000
DAY_MS = 24 * 60 * 60 * 1000
WINDOWS = {"burst": (MANY, 300), "sustained": (MANY, 1_000)}
DENIED = {"burst": (1, DAY_MS), "sustained": (1, DAY_MS)}
BUCKETS = [
    {"name": name, "algorithm": "token_bucket", "amount": amount, "window_ms": window_ms, "per": "key"}
    for name, amount, window_ms in (("burst", 1_000_000, 1_000), ("sustained", 50_000_000, 60_000))
]
ALIASES = 4
"""Mutations a document."""
ATTEMPTS = 5
"""An operation that a busy machine does not finish in time is undone, and asked again."""
_PLANS = "{ plans { id slug limits { algorithm } } }"
_SUBSCRIBE = 'mutation { subscribe(planId: "%s") { __typename } }'
_CREATE = 'createKey(input: {name: "Cost"}) { ... on CreatedKey { secret key { id } } ... on Problem { message } }'
_OVERRIDE = (
    'overrideKeyLimit(input: {accountId: "%s", id: "%s", name: "%s", amount: %d, windowMs: %d, reason: "Cost"}) '
    "{ __typename ... on Problem { message } }"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """`expected`: the code of every answer. `weight`: how many checks it sends where others send one."""

    name: str
    expected: str = "VALID"
    each: int = 1
    weight: float = 1
    connections: int = 32

    @property
    def path(self) -> str:
        return "/check" if self.each == 1 else "/check/batch"

    def requests(self, token: str, keys: Sequence[str], checks: int) -> list[bytes]:
        """At least `checks` of them, by turns with every key; a request holds `each`."""
        bodies = [{"key": key, "resource": "orders.list"} for key in keys]
        count = -(-round(checks * self.weight) // self.each)
        if self.each == 1:
            made = [encode_request(self.path, token, json.dumps(body).encode()) for body in bodies]
        else:
            body = json.dumps({"checks": [bodies[number % len(bodies)] for number in range(self.each)]}).encode()
            made = [encode_request(self.path, token, body)]
        return [made[number % len(made)] for number in range(count)]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("windows"),
        Kind("buckets"),
        Kind("denied", expected="RATE_LIMITED"),
        Kind("batch", each=BATCH, weight=3, connections=8),
    )
}


async def make_keys(portal: DemoPortal, kinds: Sequence[Kind]) -> dict[str, list[str]]:
    """Return secrets by kind. Raises WrongAnswers where the portal refuses."""
    names = {kind.name for kind in kinds}
    ask = _asking(portal.facts["url"])
    keys: dict[str, list[str]] = {}
    if names & {"windows", "batch"}:
        keys["windows"] = keys["batch"] = await asyncio.to_thread(_overridden, ask, portal.facts, KEYS, WINDOWS)
    if "denied" in names:
        keys["denied"] = await asyncio.to_thread(_overridden, ask, portal.facts, DENIED_KEYS, DENIED)
    if "buckets" in names:
        await _give_buckets(portal)
        keys["buckets"] = await asyncio.to_thread(_with_buckets, ask, portal.facts)
    return {name: keys[name] for name in names}


Ask = Callable[[str, str], dict[str, Any]]
"""(token, document) → data."""


def _asking(url: str) -> Ask:
    parts = urlsplit(url)

    def ask(token: str, document: str) -> dict[str, Any]:
        for _ in range(ATTEMPTS):
            answer = _post(parts.hostname or "", parts.port, token, document)
            if [error["extensions"]["code"] for error in answer.get("errors") or []] != ["TIMEOUT"]:
                break
        if answer.get("errors") or not answer.get("data"):
            raise WrongAnswers(f"{document[:200]}: {json.dumps(answer)[:500]}")
        data: dict[str, Any] = answer["data"]
        return data

    return ask


def _post(host: str, port: int | None, token: str, document: str) -> dict[str, Any]:
    connection = HTTPConnection(host, port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/graphql", json.dumps({"query": document}), headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer


def _mutate(ask: Ask, token: str, fields: Sequence[str]) -> list[dict[str, Any]]:
    """Return what each field answered, in order."""
    answers: list[dict[str, Any]] = []
    for begin in range(0, len(fields), ALIASES):
        part = [f"m{number}: {field}" for number, field in enumerate(fields[begin : begin + ALIASES])]
        data = ask(token, f"mutation {{ {' '.join(part)} }}")
        answers += [data[f"m{number}"] for number in range(len(part))]
    problems = [answer["message"] for answer in answers if "message" in answer]
    if problems:
        raise WrongAnswers(problems[0])
    return answers


def _overridden(ask: Ask, facts: Mapping[str, Any], count: int, limits: Mapping[str, tuple[int, int]]) -> list[str]:
    """Keys of the developer's account, whose plan is Pro, with other amounts and windows than the plan's."""
    owner, staff = facts["logins"]["developer"], facts["logins"]["staff"]
    created = _mutate(ask, owner["token"], [_CREATE] * count)
    fields = [
        _OVERRIDE % (owner["account_id"], answer["key"]["id"], name, *limit)
        for answer in created
        for name, limit in limits.items()
    ]
    _mutate(ask, staff["token"], fields)
    return [str(answer["secret"]) for answer in created]


async def _give_buckets(portal: DemoPortal) -> None:
    """By the one way that every version compared has: the database. PostgreSQL makes a version of the plan of it."""
    connection = await asyncpg.connect(portal.database_url())
    try:
        await connection.execute("UPDATE plans SET limits = $1 WHERE slug = 'enterprise'", json.dumps(BUCKETS))
    finally:
        await connection.close()


def _with_buckets(ask: Ask, facts: Mapping[str, Any]) -> list[str]:
    """Keys of the other developer's account, put on the Enterprise plan first."""
    token = facts["logins"]["other_developer"]["token"]
    (plan,) = [plan for plan in ask(token, _PLANS)["plans"] if plan["slug"] == "enterprise"]
    if {limit["algorithm"] for limit in plan["limits"]} != {"token_bucket"}:
        raise WrongAnswers(f"The Enterprise plan did not take token buckets: {plan}")
    ask(token, _SUBSCRIBE % plan["id"])
    return [str(answer["secret"]) for answer in _mutate(ask, token, [_CREATE] * KEYS)]
