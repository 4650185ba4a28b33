"""Behind a proxy: whose address is in sessions, the audit log, throttles and the anonymous allowance."""

from collections.abc import AsyncIterator
from ipaddress import ip_address
from secrets import token_hex

import httpx2
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from portal import accounts
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.ids import new_id
from portal.runtime import open_container, open_web
from tests.conftest import settings_for
from tests.web.conftest import PASSWORD, SAME_ORIGIN
from web.app import create_app

PROXY, STRANGER, ORIGIN = "10.9.8.7", "198.51.100.77", "http://127.0.0.1:8000"
ADDRESSES = """SELECT address FROM sessions WHERE person_id = :person
UNION SELECT address FROM audit_events WHERE actor_id = :person"""


@pytest.fixture(scope="module")
async def app(
    services: EmbeddedServices, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Starlette]:
    """`database` is asked for because it migrates."""
    settings = settings_for(
        services, tmp_path_factory.mktemp("proxies"), trusted_proxies="10.0.0.0/8", graphql_allowance=20_000
    )
    async with open_container(settings) as parts, open_web(parts) as web:
        yield create_app(web)


def through(app: Starlette, peer: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app, client=(peer, 5000)), base_url=ORIGIN)


async def new_person(database: Database) -> accounts.Person:
    async with database.transaction() as tx:
        new = accounts.NewAccount(f"{new_id('t').lower()}@example.com", PASSWORD, "Ann", "Acme")
        return (await accounts.sign_up(tx, new))[0]


async def sign_in(client: httpx2.AsyncClient, email: str, password: str, **headers: str) -> httpx2.Response:
    sent = SAME_ORIGIN | {name.replace("_", "-"): value for name, value in headers.items()}
    client.cookies.clear()
    return await client.post("/sign-in", data={"email": email, "password": password}, headers=sent)


def somewhere() -> str:
    """An address that no other test uses, in its shortest form: that is how it is stored."""
    return str(ip_address(f"2001:db8:{token_hex(2)}:{token_hex(2)}::1"))


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded"])
async def test_sessions_and_the_audit_log_have_the_callers_address(
    app: Starlette, database: Database, header: str
) -> None:
    person, where = await new_person(database), somewhere()
    chain = f"{STRANGER}, {where}" if header != "Forwarded" else f'for={STRANGER}, for="[{where}]:443";proto=https'
    async with through(app, PROXY) as client:
        assert (await sign_in(client, person.email, PASSWORD, **{header: chain})).status_code == 303
    async with database.transaction() as tx:
        found = {row.address for row in await tx.execute(text(ADDRESSES), {"person": person.id})}
    assert where in found
    assert found <= {where, None}


async def test_a_caller_without_a_proxy_invents_nothing(app: Starlette, database: Database) -> None:
    person = await new_person(database)
    async with through(app, STRANGER) as client:
        answer = await sign_in(client, person.email, PASSWORD, X_Forwarded_For="1.2.3.4", Forwarded="for=1.2.3.4")
        assert answer.status_code == 303
    async with database.transaction() as tx:
        found = {row.address for row in await tx.execute(text(ADDRESSES), {"person": person.id})}
    assert found <= {STRANGER, None}


async def test_one_callers_guesses_keep_out_nobody_else_behind_the_proxy(app: Starlette, database: Database) -> None:
    people = [await new_person(database) for _ in range(24)]
    guesser = somewhere()
    async with through(app, PROXY) as client:
        statuses = [
            (
                await sign_in(client, f"{token_hex(8)}@example.com", "wrong password", X_Forwarded_For=guesser)
            ).status_code
            for _ in range(24)
        ]
        assert (statuses.count(422), statuses.count(429)) == (20, 4)
        for person in people:
            assert (await sign_in(client, person.email, PASSWORD, X_Forwarded_For=somewhere())).status_code == 303
        assert (await sign_in(client, people[0].email, PASSWORD, X_Forwarded_For=guesser)).status_code == 429
        invented = f"{somewhere()}, {guesser}"
        assert (await sign_in(client, people[1].email, PASSWORD, X_Forwarded_For=invented)).status_code == 429


async def test_a_browser_that_signed_in_before_is_not_kept_out(app: Starlette, database: Database) -> None:
    person, where = await new_person(database), somewhere()
    async with through(app, PROXY) as client:
        first = await sign_in(client, person.email, PASSWORD, X_Forwarded_For=where)
        marks = first.cookies["device"]
        set_cookie = next(line for line in first.headers.get_list("set-cookie") if line.startswith("device="))
        assert "HttpOnly" in set_cookie
        assert "Max-Age=34560000" in set_cookie
        for _ in range(6):
            await sign_in(client, person.email, "wrong password", X_Forwarded_For=somewhere())
        assert (await sign_in(client, person.email, PASSWORD, X_Forwarded_For=somewhere())).status_code == 429
        known = await sign_in(client, person.email, PASSWORD, X_Forwarded_For=where, Cookie=f"device={marks}")
        assert known.status_code == 303
        assert known.cookies["device"] == marks


async def test_the_anonymous_allowance_is_by_the_callers_network(app: Starlette) -> None:
    async with through(app, PROXY) as client:
        where = somewhere()
        lefts = []
        for address in (where, where.replace("::1", "::2"), somewhere()):
            answer = await client.post(
                "/graphql", json={"query": "{ viewer { role } quota { used } }"}, headers={"X-Forwarded-For": address}
            )
            lefts.append(int(answer.headers["X-RateLimit-Remaining"]))
    assert lefts[1] < lefts[0] == lefts[2]
