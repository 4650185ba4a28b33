"""A TCP proxy that delays: answers come late, in pieces, several at once, but never out of order. It can cut."""

import asyncio
import random

from tests.faults.tools.relay_proxy import RelayProxy

DELAY_SECONDS = 0.012
STALL_SECONDS = 0.15
STALLED_SHARE = 0.01


class DelayingProxy(RelayProxy):
    """Delays by chance, the same with the same `seed`."""

    def __init__(self, target_port: int, seed: int) -> None:
        super().__init__(target_port)
        self._random = random.Random(seed)  # noqa: S311 delays are no secrets

    async def forward(self, data: bytes, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        delay = DELAY_SECONDS if is_answer else 0.0
        for piece in self._pieces(data) if delay else [data]:
            is_stalled = delay and self._random.random() < STALLED_SHARE
            await asyncio.sleep(STALL_SECONDS if is_stalled else self._random.random() * delay)
            writer.write(piece)
        await writer.drain()

    def _pieces(self, data: bytes) -> list[bytes]:
        """Cut at random places, amid a reply as well."""
        cuts = sorted(self._random.randrange(len(data) + 1) for _ in range(2))
        return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
