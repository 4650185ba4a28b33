"""Shards: how their addresses are read, and that adding one moves no more accounts than it must."""

from collections import Counter

import pytest

from portal.core.errors import StartupError
from portal.core.redis.address import parse_shard, split_shards
from portal.core.redis.ring import RendezvousRing
from portal.core.settings import load_settings

ACCOUNTS = 100_000
DATABASE_URL = "postgresql+asyncpg://portal@127.0.0.1/portal"


def ring(*names: str) -> RendezvousRing[str]:
    return RendezvousRing([(name, name) for name in names])


def places(ring: RendezvousRing[str]) -> list[str]:
    return [ring.of(f"acct_{number}") for number in range(ACCOUNTS)]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_a_new_shard_takes_its_part_and_nothing_else_moves(count: int) -> None:
    names = [f"redis-{number}:6379/0" for number in range(count)]
    before, after = places(ring(*names)), places(ring(*names, "redis-new:6379/0"))
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"redis-new:6379/0"}
    assert 0.7 / (count + 1) <= len(moved) / ACCOUNTS <= 1.3 / (count + 1)


def test_shards_share_the_accounts_evenly_even_where_long_names_begin_alike() -> None:
    names = [f"{'redis.of.a.very.long.cluster.name.' * 3}{number}:6379/0" for number in range(4)]
    held = Counter(places(ring(*names)))
    assert min(held.values()) > 0.9 * ACCOUNTS / 4
    assert max(held.values()) < 1.1 * ACCOUNTS / 4


def test_the_order_of_shards_means_nothing() -> None:
    assert places(ring("a", "b", "c")) == places(ring("c", "a", "b"))


def test_a_part_without_a_scheme_continues_the_sentinels_before_it() -> None:
    urls = split_shards("redis://a,redis+sentinel://s1,s2:26380,s3/b, rediss://:x@c:1/2")
    assert urls == ["redis://a", "redis+sentinel://s1,s2:26380,s3/b", "rediss://:x@c:1/2"]
    plain, watched, safe = [parse_shard(url) for url in urls]
    assert (plain.name, plain.servers, plain.is_tls) == ("a:6379/0", (("a", 6379),), False)
    assert (watched.name, watched.master) == ("b", "b")
    assert watched.servers == (("s1", 26379), ("s2", 26380), ("s3", 26379))
    assert (safe.name, safe.database, safe.is_tls, safe.password) == ("c:1/2", 2, True, "x")


def test_an_authority_of_ones_own_is_named_with_the_address() -> None:
    one = parse_shard("rediss://:w@h/0?ca=/etc/ca.pem")
    assert (one.ca, one.is_tls, one.name) == ("/etc/ca.pem", True, "h:6379/0")
    watched = parse_shard("rediss+sentinel://s1/b?sentinel_password=w&ca=/etc/ca.pem")
    assert (watched.ca, watched.sentinel_password) == ("/etc/ca.pem", "w")
    assert parse_shard("redis://h").tls_context() is None


def test_neither_sentinels_nor_passwords_name_a_shard() -> None:
    one = parse_shard("redis+sentinel://ann:p%2Cw@s1,s2/mymaster/3?sentinel_password=w")
    other = parse_shard("rediss+sentinel://s9/mymaster/3")
    assert one.name == other.name == "mymaster/3"
    assert (one.user, one.password, one.sentinel_password, one.database) == ("ann", "p,w", "w", 3)
    assert "p,w" not in repr(one)
    assert parse_shard("redis://:a@h").name == parse_shard("redis://u:b@h:6379/0").name


@pytest.mark.parametrize(
    "text",
    [
        "redis",
        "http://a",
        "redis://",
        "redis://a,b",
        "redis://a/x",
        "redis://a/0/1",
        "redis+sentinel://s1,s2",
        "redis+sentinel://s1,s2/",
        "redis+sentinel://s1,s2/b,s3",
        "redis+sentinel://s1,s2/b/c",
        "redis://a?db=1",
        "redis://u:hush/hush@a",
        "redis://u:hush?hush@a",
        "redis://u:hush#hush@a",
        "redis://:hush@a@b",
        "redis+sentinel://s1/b?hush=hush",
        "redis://:hush@a?ca=/hush.pem",
        "rediss://:hush@a?ca=/a.pem&hush=1",
        "rediss://:hush@a?ca=",
        "redis://a,redis://a:6379/0",
    ],
)
def test_a_wrong_address_is_reported_at_startup_without_its_password(text: str) -> None:
    with pytest.raises(StartupError) as error:
        load_settings(database_url=DATABASE_URL, redis_urls=text)
    assert "PORTAL_REDIS_URLS" in error.value.message
    assert "hush" not in error.value.message
