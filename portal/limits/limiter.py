"""The limiter: finds an account's shard and asks it."""

import asyncio
from collections.abc import Sequence

import hiredis

from portal.core.redis.ring import RendezvousRing
from portal.limits.connection import Connection
from portal.limits.link import LimitsUnavailable
from portal.limits.requests import Decision, LimitRequest, Settled
from portal.limits.shard import ADD_USED, RAISE_USED, RAISE_VERSION, OnDecision, Shard

PING_SECONDS = 1.0


class Limiter:
    """One a process. `urls`: one a shard, as in portal.core.redis.address."""

    def __init__(self, urls: Sequence[str], deadline_ms: int) -> None:
        shards = [Shard(Connection(url, deadline_ms / 1000)) for url in urls]
        self._ring = RendezvousRing([(shard.connection.name, shard) for shard in shards])

    async def open(self) -> None:
        await asyncio.gather(*[shard.connection.open() for shard in self._ring])

    async def close(self) -> None:
        await asyncio.gather(*[shard.connection.close() for shard in self._ring])

    def shard_of(self, account_id: str) -> Shard:
        return self._ring.of(account_id)

    def decide(self, request: LimitRequest, on_decision: OnDecision) -> None:
        """One check among those of this loop turn; see Shard.decide."""
        self._ring.of(request.account_id).decide(request, on_decision)

    async def decide_one(self, request: LimitRequest) -> Decision:
        """The same, awaited. Raises LimitsUnavailable."""
        future: asyncio.Future[Decision | LimitsUnavailable] = asyncio.get_running_loop().create_future()
        self.decide(request, lambda outcome: None if future.done() else future.set_result(outcome))
        outcome = await future
        if isinstance(outcome, LimitsUnavailable):
            raise outcome
        return outcome

    async def raise_policy_version(self, account_id: str, version: int) -> None:
        """From now on no check of the account passes by an older policy. Raises LimitsUnavailable."""
        await self.shard_of(account_id).run(RAISE_VERSION, [f"account:{account_id}"], [version])

    async def raise_used(self, account_id: str, period: str, used: int, settled: int) -> None:
        """The period's counter is at least what has been ingested, of which settlements added `settled`.

        Raises LimitsUnavailable.
        """
        shard = self.shard_of(account_id)
        await shard.run(RAISE_USED, [f"account:{account_id}"], [period, used, settled])

    async def add_used(self, settlement: Settled) -> None:
        """Correct the period's counter, where Redis has it; repeated within an hour this changes nothing more.

        Raises LimitsUnavailable.
        """
        shard = self.shard_of(settlement.account_id)
        keys = [f"account:{settlement.account_id}", f"settled:{settlement.request_id}"]
        await shard.run(ADD_USED, keys, [settlement.period, settlement.added, settlement.settled])

    def shards(self) -> list[Shard]:
        return [*self._ring]

    async def ping(self) -> list[tuple[str, bool]]:
        """(its name, whether it answers) of every shard."""
        shards = self.shards()
        answers = await asyncio.gather(*[_answers(shard) for shard in shards])
        return [(shard.connection.name, answer) for shard, answer in zip(shards, answers, strict=True)]


async def _answers(shard: Shard) -> bool:
    try:
        await shard.connection.call("PING", patience_s=PING_SECONDS)
    except (LimitsUnavailable, hiredis.ReplyError):
        return False
    return True
