"""Service tokens in Redis, so that a process which starts while PostgreSQL is away knows the gateways too.

Two hashes, the same on every shard, since there are few tokens and any shard may be the one that is left:

    service_tokens           digest -> id and when PostgreSQL last said that it is valid
    revoked_service_tokens   digest -> when it was revoked; what stands here is refused whatever PostgreSQL says, which
                             may have been restored to a time before

Tokens stand there as SHA-256, as in PostgreSQL.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from time import time
from typing import Any

import msgspec

from portal.limits import Limiter, LimitsUnavailable

TOKENS, REVOKED = "service_tokens", "revoked_service_tokens"
TTL_SECONDS = 70 * 86_400
TIMEOUT_SECONDS = 1.0


class SharedToken(msgspec.Struct, frozen=True):
    """`confirmed_at`: seconds since 1970."""

    id: str
    confirmed_at: float


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SharedToken).decode


class SharedTokens:
    """The service tokens that all processes share. What cannot be written is left out; what cannot be read raises."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def publish(self, tokens: Mapping[bytes, str]) -> None:
        """Tell every shard that PostgreSQL has these tokens (digest -> id) and that they are valid now."""
        if tokens:
            fields = [(digest.hex(), _encode(SharedToken(token_id, time()))) for digest, token_id in tokens.items()]
            await self._write(TOKENS, [text for field in fields for text in field])

    async def revoke(self, *digests: bytes) -> None:
        """Refuse these tokens for good, also where PostgreSQL no longer knows. Raises LimitsUnavailable if none hears.

        One shard is enough: readers ask all of them.
        """
        fields: list[bytes | str] = [text for digest in digests for text in (digest.hex(), str(round(time())))]
        if fields and not await self._write(REVOKED, fields):
            raise LimitsUnavailable("no shard answers")

    async def forget(self, digest: bytes) -> None:
        """Have no process take this token from Redis: PostgreSQL has said that it is not valid."""
        for shard in self._limiter.shards():
            with suppress(LimitsUnavailable):
                await shard.connection.call("HDEL", TOKENS, digest.hex(), timeout_seconds=TIMEOUT_SECONDS)

    async def list_valid(self) -> dict[bytes, SharedToken]:
        """Return what the first shard that has any holds, without the revoked. Raises LimitsUnavailable."""
        revoked = await self.list_revoked()
        for reply in await self._ask_all("HGETALL", TOKENS):
            if reply:
                pairs = zip(reply[::2], reply[1::2], strict=True)
                tokens = {bytes.fromhex(digest.decode()): _decode(text) for digest, text in pairs}
                return {digest: token for digest, token in tokens.items() if digest not in revoked}
        return {}

    async def list_all(self) -> dict[bytes, str]:
        """Return every token that any shard knows, digest -> id, revoked or not. Raises LimitsUnavailable."""
        replies = await self._ask_all("HGETALL", TOKENS)
        return {
            bytes.fromhex(digest.decode()): _decode(text).id
            for reply in replies
            for digest, text in zip(reply[::2], reply[1::2], strict=True)
        }

    async def list_revoked(self) -> set[bytes]:
        """Return the digests of revoked tokens that any shard knows. Raises LimitsUnavailable when none answers."""
        replies = await self._ask_all("HKEYS", REVOKED)
        return {bytes.fromhex(digest.decode()) for reply in replies for digest in reply}

    async def find(self, digest: bytes) -> SharedToken | None:
        """Return a valid token that any shard knows. Raises LimitsUnavailable when none answers."""
        if await self.is_revoked(digest):
            return None
        replies = await self._ask_all("HGET", TOKENS, digest.hex())
        return next((_decode(reply) for reply in replies if isinstance(reply, bytes)), None)

    async def is_revoked(self, digest: bytes) -> bool:
        """Return whether any shard says so. Raises LimitsUnavailable when none answers."""
        return any(await self._ask_all("HEXISTS", REVOKED, digest.hex()))

    async def _ask_all(self, *command: str) -> list[Any]:
        """Return the replies of the shards that answer. Raises LimitsUnavailable when none does."""
        calls = [shard.connection.call(*command, timeout_seconds=TIMEOUT_SECONDS) for shard in self._limiter.shards()]
        replies = await asyncio.gather(*calls, return_exceptions=True)
        answers = [reply for reply in replies if not isinstance(reply, BaseException)]
        if not answers:
            raise LimitsUnavailable("no shard answers")
        return answers

    async def _write(self, name: str, fields: list[bytes | str]) -> bool:
        """Return whether any shard took it."""
        is_written = False
        for shard in self._limiter.shards():
            try:
                await shard.connection.call("HSET", name, *fields, timeout_seconds=TIMEOUT_SECONDS)
                await shard.connection.call("EXPIRE", name, TTL_SECONDS, timeout_seconds=TIMEOUT_SECONDS)
                is_written = True
            except LimitsUnavailable:
                continue
        return is_written
