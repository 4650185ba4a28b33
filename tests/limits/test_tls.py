"""`rediss://`: a real server with TLS; who cannot prove that it is the right one is refused, and it is said why."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.cli.doctor.checks import UNTRUSTED, State, examine_redis
from portal.core.errors import StartupError
from portal.core.ids import new_id
from portal.core.settings import load_settings
from portal.limits import Limiter, LimitRequest, LimitsUnavailable, Mode, Status, Subject, Window, shard_client
from tests.limits.tls import HOST, Authority, TlsServer, tls_server

REQUEST = LimitRequest("acct_1", 0, Mode.CONSUME, 1, (Subject(new_id("t"), (Window(2, 60_000_000),)),), None)
DATABASE_URL = "postgresql+asyncpg://portal@127.0.0.1/portal"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "ours").create()


@pytest.fixture(scope="module")
def other(folder: Path) -> Authority:
    return Authority(folder, "theirs").create()


@pytest.fixture(scope="module")
def server(folder: Path, authority: Authority) -> Iterator[TlsServer]:
    with tls_server(folder / "server", authority) as server:
        yield server


async def refusal(url: str) -> str:
    """Why the limiter has no connection: it decides nothing, and does not speak in the clear instead."""
    limiter = Limiter([url], 500)
    await limiter.open()
    try:
        with pytest.raises(LimitsUnavailable, match="not connected"):
            await limiter.decide_one(REQUEST)
        assert await limiter.ping() == [(limiter.shards()[0].connection.name, False)]
    finally:
        await limiter.close()
    finding = await examine_redis(url)
    assert finding.state is State.BAD
    assert "hush" not in finding.message
    return f"{finding.message} {finding.hint}"


async def test_a_server_of_a_known_authority_decides(server: TlsServer, authority: Authority) -> None:
    url = server.url(authority.certificate)
    limiter = Limiter([url], 1000)
    await limiter.open()
    try:
        told = [(await limiter.decide_one(REQUEST)).status for _ in range(3)]
        await limiter.raise_policy_version("acct_1", 7)
    finally:
        await limiter.close()
    assert told == [Status.ADMITTED, Status.ADMITTED, Status.RATE_LIMITED]
    async with await shard_client(url) as client:
        assert await client.hget("account:acct_1", "version") == b"7"
    assert (await examine_redis(url)).state is State.DOUBTFUL  # it keeps nothing on disk
    assert load_settings(database_url=DATABASE_URL, redis_urls=url).redis_urls[0].get_secret_value() == url


async def test_a_server_of_an_unknown_authority_is_refused(
    server: TlsServer, other: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    for ca in (other.certificate, None):
        told = await refusal(server.url(ca))
        assert "certificate verify failed" in told
        assert UNTRUSTED in told
    assert "certificate verify failed" in "".join(capsys.readouterr())


async def test_a_certificate_for_somebody_else_is_refused(folder: Path, authority: Authority) -> None:
    with tls_server(folder / "elsewhere", authority, "DNS:redis.example.com") as elsewhere:
        assert f"not valid for '{HOST}'" in await refusal(elsewhere.url(authority.certificate))


async def test_without_tls_a_server_that_wants_it_decides_nothing(server: TlsServer) -> None:
    assert HOST in await refusal(server.url(None, scheme="redis"))


def test_a_missing_file_is_reported_at_startup(tmp_path: Path) -> None:
    with pytest.raises(StartupError) as error:
        load_settings(database_url=DATABASE_URL, redis_urls=f"rediss://:hush@a/0?ca={tmp_path}/none.pem")
    assert "none.pem" in error.value.message
    assert "hush" not in error.value.message
