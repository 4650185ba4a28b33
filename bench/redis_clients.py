"""`python -m bench.redis_clients [--rounds N]`: what a decision costs this process by our Redis link and by redis-py.

Each sends the same script call about the same checks to the same server and decodes the reply. `ours` is
`Limiter.decide_one`: the checks of an event-loop turn travel in one call. `redis-py` awaits an EVALSHA for each check
on a pool of connections; `redis-py pipeline` sends the EVALSHAs of all of them in one pipeline. CPU time of this
process is what a busy machine distorts least; the clients take turns.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import uvloop
from redis.asyncio import BlockingConnectionPool, Redis

from bench.contender import WrongAnswers
from bench.folders import own_folder
from portal import limits
from portal.core.clock import to_microseconds, utc_now
from portal.core.embedded import start_services
from portal.limits import Decision, Limiter, LimitRequest, Mode, Quota, Status, Subject, Window
from portal.limits.requests import decode_decisions, encode

TOGETHER = (1, 32, 128)
"""How many checks wait at the same time."""
MAX_CHECKS = 2_048
CALLS = 256
CONNECTIONS = 32
DEADLINE_MS = 5_000
MANY = 10**12
SCRIPT = ("sliding_window.lua", "token_bucket.lua", "decide.lua")
Ask = Callable[[Sequence[LimitRequest]], Awaitable[list[Decision]]]


async def main(rounds: int) -> None:
    with own_folder() as folder:
        services = await start_services(folder / "services", durable=False)
        try:
            await _measure(services.redis_urls[0], rounds)
        finally:
            await services.stop()


async def _measure(url: str, rounds: int) -> None:
    limiter = Limiter([url], DEADLINE_MS)
    await limiter.open()
    pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS)
    async with Redis(connection_pool=pool) as redis:
        folder = Path(limits.__file__).parent
        sha = await redis.script_load("".join((folder / file).read_text() for file in SCRIPT))
        await _lay_records(redis)
        clients: dict[str, Ask] = {
            "ours": lambda requests: _own_link(limiter, requests),
            "redis-py": lambda requests: _redis_py(redis, sha, requests),
            "redis-py pipeline": lambda requests: _redis_py_pipeline(redis, sha, requests),
        }
        sys.stdout.write("| checks at once | client | CPU µs a check | checks/s |\n|---:|---|---:|---:|\n")
        for together in TOGETHER:
            figures: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
            for number in range(rounds + 1):
                order = [*clients] if number % 2 else [*reversed(clients)]
                for name in order:
                    figure = await _round(clients[name], together)
                    if number:  # the first round warms up
                        figures[name].append(figure)
            for name, found in figures.items():
                cpu, rate = median(cpu for cpu, _ in found), median(rate for _, rate in found)
                sys.stdout.write(f"| {together} | {name} | {cpu:.1f} | {rate:,.0f} |\n")
    await limiter.close()
    await pool.aclose()


async def _round(ask: Ask, together: int) -> tuple[float, float]:
    """Return CPU µs a check and checks a second."""
    requests = [_request(number) for number in range(together)]
    calls = min(CALLS, MAX_CHECKS // together)
    begin, cpu = perf_counter(), process_time()
    for _ in range(calls):
        decisions = await ask(requests)
        if {decision.status for decision in decisions} != {Status.ADMITTED}:
            raise WrongAnswers(f"{decisions[0]}")
    count = calls * together
    return (process_time() - cpu) / count * 1e6, count / (perf_counter() - begin)


async def _own_link(limiter: Limiter, requests: Sequence[LimitRequest]) -> list[Decision]:
    return await asyncio.gather(*[limiter.decide_one(request) for request in requests])


async def _redis_py(redis: Redis, sha: str, requests: Sequence[LimitRequest]) -> list[Decision]:
    async def ask(request: LimitRequest) -> Decision:
        keys, body = _arguments(request)
        reply: bytes = await redis.evalsha(sha, len(keys), *keys, body, 0)
        return decode_decisions(reply)[1][0]

    return await asyncio.gather(*[ask(request) for request in requests])


async def _redis_py_pipeline(redis: Redis, sha: str, requests: Sequence[LimitRequest]) -> list[Decision]:
    async with redis.pipeline(transaction=False) as pipeline:
        for request in requests:
            keys, body = _arguments(request)
            pipeline.evalsha(sha, len(keys), *keys, body, 0)
        return [decode_decisions(reply)[1][0] for reply in await pipeline.execute()]


def _arguments(request: LimitRequest) -> tuple[list[str], bytes]:
    """Return the script's keys and its one argument."""
    encoded = encode(request)
    keys = [f"account:{request.account_id}", *[f"limit:{subject.name}" for subject in request.subjects]]
    return keys, b"\xdd" + encoded.length.to_bytes(4, "big") + encoded.fields


def _request(number: int) -> LimitRequest:
    now = to_microseconds(utc_now())
    periods = (("2000-01", now - MANY, now + MANY), ("2000-02", now + MANY, now + 2 * MANY))
    windows = (Window(MANY, 1_000_000), Window(MANY, 60_000_000))
    return LimitRequest(f"a{number}", 1, Mode.CONSUME, 1, (Subject(f"k{number}", windows),), Quota(MANY, periods))


async def _lay_records(redis: Redis) -> None:
    """Give each account a record, without which the script would ask for its counters."""
    since = str(to_microseconds(utc_now()) - 2 * MANY)
    for number in range(max(TOGETHER)):
        await redis.hset(f"account:a{number}", mapping={"version": "1", "since": since})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.redis_clients", description="Our Redis link and redis-py.")
    parser.add_argument("--rounds", type=int, default=7)
    uvloop.run(main(parser.parse_args().rounds))
