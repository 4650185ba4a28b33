"""Every case of cases.py gets the same answer on the lane and on every other kind of route: one strictness."""

from collections.abc import Callable

import pytest

from tests.web.connection.cases import CASES, SERVED, Change
from tests.web.connection.conftest import Served
from tests.web.connection.raw import Raw, connected

ROUTES: dict[str, Callable[[Served], Raw]] = {
    "the lane": lambda served: served.check(),
    "native statuses": lambda served: served.check("/check/http"),
    "a batch": lambda served: served.post("/check/batch", f'{{"checks": [{{"key": "{served.secret}", "cost": 0}}]}}'),
    "GraphQL": lambda served: served.post("/graphql", '{"query": "{ __typename }"}', has_token=False),
    "events": lambda served: served.post(
        "/usage/events",
        '{"specversion": "1.0", "id": "1", "source": "a", "type": "b", "subject": "nobody"}',
        "application/cloudevents+json",
    ),
    "a form": lambda served: served.post(
        "/sign-in", "email=nobody%40example.com", "application/x-www-form-urlencoded", has_token=False
    ),
    "nothing": lambda served: served.post("/nowhere", "{}" * 10),
}
BODILESS = frozenset({"a form", "nothing"})
"""Routes that answer these requests without having asked for their bodies."""
ONE_READ = 50_000
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: portal\r\nConnection: close\r\n\r\n"


def test_there_are_many_cases_of_different_names() -> None:
    assert len({name for name, _, _ in CASES}) == len(CASES) >= 150


@pytest.fixture(scope="module")
async def usual(served: Served) -> dict[str, int]:
    """The status of each route's request as it is."""
    found = {}
    for name, make in ROUTES.items():
        async with connected(served.port) as wire:
            wire.send(make(served).encode())
            found[name] = (await wire.answer()).status
    assert found["the lane"] == found["native statuses"] == found["a batch"] == found["GraphQL"] == 200
    return found


@pytest.mark.parametrize(("change", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_the_answer_is_the_same_everywhere(
    served: Served, usual: dict[str, int], change: Change, expected: int
) -> None:
    for route, make in ROUTES.items():
        async with connected(served.port) as wire:
            request = change(make(served)).encode()
            wire.send(request)
            answer = await wire.answer()
            if answer.status == usual[route] and route in BODILESS and len(request) > ONE_READ:
                continue  # answered before its body was all there, as it may be
            if expected == SERVED:
                assert answer.status == usual[route], route
                if answer.headers.get("connection") == "close":
                    assert (b"Expect:" in request, route) == (True, route)  # it did not have to be told to go on
                else:
                    wire.send(LIVEZ)
                    assert (await wire.answer()).body == b"ok\n", route
            else:
                assert answer.status == expected, (route, answer)
                is_graphqls_own = route == "GraphQL" and answer.status == 413
                assert is_graphqls_own or answer.headers["content-type"] == "application/problem+json", route
                assert is_graphqls_own or answer.headers["connection"] == "close", route
                wire.send(LIVEZ)
            assert await wire.is_ended(), route
