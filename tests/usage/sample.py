"""Records to count, for the tests of usage and of the workers."""

import asyncio
from datetime import UTC, datetime

from portal.core.clock import to_microseconds
from portal.core.ids import encode_128, new_id
from portal.core.messaging.bus import USAGE_RECORDED, InProcessBus
from portal.usage import UsageRecord, decode_batch

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


def request_id(at: datetime, number: int) -> str:
    return f"req_{encode_128(to_microseconds(at) << 72 | number)}"


def record(number: int = 0, at: datetime = NOON, **changes: object) -> UsageRecord:
    fields: dict[str, object] = {
        "request_id": request_id(at, number),
        "account_id": "acct_sample",
        "key_id": "key_a",
        "secret_id": "ksec_a",
        "environment": "live",
        "resource": "GET /v1/search",
        "code": "VALID",
        "cost": 1,
        "period": f"{at:%Y-%m}",
    }
    return UsageRecord(**(fields | changes))  # type: ignore[arg-type]  # the fields' own types vary


def records(count: int, **changes: object) -> list[UsageRecord]:
    return [record(number, **changes) for number in range(count)]  # type: ignore[arg-type]  # as above


def new_account() -> str:
    return new_id("acct")


class Receiver:
    """What a bus delivered, as records, in order. `failures` deliveries are refused first."""

    def __init__(self, failures: int = 0) -> None:
        self.bus = InProcessBus()
        self.batches: list[list[UsageRecord]] = []
        self.failures = failures
        self._arrived = asyncio.Condition()
        self.bus.subscribe(USAGE_RECORDED, self._receive)

    @property
    def records(self) -> list[UsageRecord]:
        return [one for batch in self.batches for one in batch]

    async def wait_for(self, count: int) -> None:
        """Until so many records have come; ten seconds at most."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.records) >= count)

    async def _receive(self, batch: bytes) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the broker is away")
        self.batches.append(decode_batch(batch))
        async with self._arrived:
            self._arrived.notify_all()
