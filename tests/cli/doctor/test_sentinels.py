"""What the commands and the health pages say of a shard that Sentinels watch."""

import signal
from pathlib import Path

from portal.cli.doctor.checks import State, examine_redis, examine_sentinels
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.settings import load_settings
from portal.runtime import open_container, open_web
from tests.limits.sentinels import HOST, MASTER, watched_pair
from tests.web.conftest import Browser
from web.app import create_app


async def test_the_doctor_examines_the_master_and_its_sentinels(tmp_path: Path) -> None:
    async with watched_pair(tmp_path) as watched:
        redis, sentinels = await examine_redis(watched.url), await examine_sentinels(watched.url)
        assert (redis.what, redis.state) == ("Redis", State.DOUBTFUL)
        assert f"at {MASTER} keeps nothing on disk" in redis.message
        assert sentinels is not None
        assert sentinels.state is State.GOOD
        assert sentinels.message == f"all 3 name {HOST}:{watched.first.port} as {MASTER}."
        replica = await examine_redis(watched.second.url)
        assert (replica.state, "is a replica" in replica.message) == (State.BAD, True)

        watched.sentinels[0].signal(signal.SIGKILL)
        fewer = await examine_sentinels(watched.url)
        watched.sentinels[1].signal(signal.SIGKILL)
        too_few = await examine_sentinels(watched.url)
        assert fewer is not None
        assert too_few is not None
        assert (fewer.state, too_few.state) == (State.DOUBTFUL, State.BAD)
        watched.sentinels[2].signal(signal.SIGKILL)
        none = await examine_redis(watched.url)
        assert (none.state, "does not answer" in none.message) == (State.BAD, True)
        assert await examine_sentinels(watched.first.url) is None


async def test_health_and_metrics_name_the_shards(
    services: EmbeddedServices, database: Database, tmp_path: Path
) -> None:
    async with watched_pair(tmp_path) as watched:
        settings = load_settings(
            database_url=services.database_url,
            redis_urls=f"{watched.url},{services.redis_urls[0]}",
            data=tmp_path / "data",
        )
        async with open_container(settings) as container, open_web(container) as web:
            browser = Browser(create_app(web))
            assert (await browser.get("/readyz/portal?verbose")).json()["parts"]["redis"] == "ok"
            text = (await browser.get("/metrics")).text
            assert f'portal_shard_connected{{shard="{MASTER}"}} 1.0' in text
            assert 'portal_policy_cache_entries{kind="known"} 0.0' in text
            assert "portal_checks_unseeded_total 0.0" in text
            watched.first.signal(signal.SIGSTOP)
            for sentinel in watched.sentinels:
                sentinel.signal(signal.SIGKILL)
            ready = await browser.get("/readyz/portal?verbose")
            assert (ready.status_code, ready.json()["parts"]["redis"]) == (200, f"ok, without {MASTER}")
            await browser.client.aclose()
        other = Browser(create_app(web))
        assert f'shard="{MASTER}"' not in (await other.get("/metrics")).text
        await other.client.aclose()
