"""A TCP proxy that loses answers: what is sent still arrives, what comes back does not, until it is cut."""

import asyncio

from tests.faults.tools.relay_proxy import RelayProxy


class DeafProxy(RelayProxy):
    """While `is_deaf` no answer comes back."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.is_deaf = False

    async def forward(self, data: bytes, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        if not (is_answer and self.is_deaf):
            await super().forward(data, writer, is_answer=is_answer)
