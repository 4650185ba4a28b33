"""From the bytes of a check request to the reply, whichever way they travel (lane or ASGI).

Works in callbacks, as the checker does: a warm check needs no task.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import msgspec

from portal.check import (
    BatchRequest,
    Checker,
    CheckOutcome,
    CheckResponse,
    CheckUnavailable,
    ServiceTokens,
    SettleRequest,
    check_atomic,
    parse_batch,
    parse_check,
    parse_settle,
    settle_check,
)
from portal.check.journal_batch import Outcome
from portal.core.database import is_connection_lost
from portal.core.errors import Conflict, InvalidBody, MalformedBody, NotFound
from portal.core.logs import get_log
from portal.usage import JournalUnavailable
from web.check import replies
from web.check.replies import Reply, batch_reply, native_reply, plain_reply, settled_reply

CHECK, CHECK_HTTP, CHECK_BATCH, CHECK_SETTLE = "/check", "/check/http", "/check/batch", "/check/settle"
MAX_BODY = {CHECK: 16 * 1024, CHECK_HTTP: 16 * 1024, CHECK_BATCH: 1024 * 1024, CHECK_SETTLE: 16 * 1024}

OnReply = Callable[[Reply], None]


class CheckHandler:
    """One a process."""

    def __init__(self, checker: Checker, tokens: ServiceTokens) -> None:
        self._checker = checker
        self._tokens = tokens
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, path: str, token: str | None, body: bytes, on_reply: OnReply) -> None:
        """`token` is the bearer token, None without one; `on_reply` is called once, at once or later."""
        known = self._tokens.known(token) if token else None
        if known is not None:
            self._serve_known(path, known, body, on_reply)
        elif not token:
            on_reply(replies.no_token())
        else:
            self._spawn(self._identify(path, token, body, on_reply))

    async def answer(self, path: str, token: str | None, body: bytes) -> Reply:
        """The same, awaited."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.serve(path, token, body, lambda reply: None if future.done() else future.set_result(reply))
        return await future

    async def _identify(self, path: str, token: str, body: bytes, on_reply: OnReply) -> None:
        try:
            service_id = await self._tokens.identify(token)
        except Exception as error:
            on_reply(failure(error))
            return
        if service_id is None:
            on_reply(replies.no_token())
        else:
            self._serve_known(path, service_id, body, on_reply)

    def _serve_known(self, path: str, service_id: str, body: bytes, on_reply: OnReply) -> None:
        try:
            tell = RENDERERS.get(path)
            if tell is not None:
                self._checker.start(service_id, parse_check(body), partial(tell, on_reply))
            elif path == CHECK_BATCH:
                self._serve_batch(service_id, parse_batch(body), on_reply)
            else:
                self._spawn(self._serve_settle(parse_settle(body), on_reply))
        except MalformedBody as error:
            on_reply(replies.malformed(str(error)))
        except InvalidBody as error:
            on_reply(replies.invalid(str(error)))
        except Exception as error:
            on_reply(failure(error))

    def _serve_batch(self, service_id: str, batch: BatchRequest, on_reply: OnReply) -> None:
        if batch.mode == "atomic":
            self._spawn(self._serve_atomic(batch, on_reply))
            return
        outcomes: list[Outcome | None] = [None] * len(batch.checks)
        waiting = len(batch.checks)

        def checked(position: int, outcome: Outcome) -> None:
            nonlocal waiting
            outcomes[position] = outcome
            waiting -= 1
            if waiting == 0:
                on_reply(_batch(outcomes))

        for position, request in enumerate(batch.checks):
            self._checker.start(service_id, request, partial(checked, position))

    async def _serve_atomic(self, batch: BatchRequest, on_reply: OnReply) -> None:
        try:
            checked = await check_atomic(self._checker, batch.checks)
        except Exception as error:
            on_reply(failure(error))
        else:
            on_reply(batch_reply([one.answer for one in checked]))

    async def _serve_settle(self, request: SettleRequest, on_reply: OnReply) -> None:
        try:
            await settle_check(self._checker.database, self._checker.limiter, request)
        except Exception as error:
            on_reply(failure(error))
        else:
            on_reply(settled_reply(request))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _batch(outcomes: Sequence[Outcome | None]) -> Reply:
    """Never raises: a batch is told once, by the last of its checks."""
    try:
        return batch_reply([_result(outcome) for outcome in outcomes])
    except Exception as error:
        return failure(error)


def _result(outcome: Outcome | None) -> CheckResponse | msgspec.Raw:
    """An answer, or the problem document of the check that has none."""
    if isinstance(outcome, CheckOutcome):
        return outcome.answer
    assert outcome is not None  # noqa: S101 every place has been filled
    return msgspec.Raw(failure(outcome).body)


def _render_always_200(on_reply: OnReply, outcome: Outcome) -> None:
    on_reply(failure(outcome) if isinstance(outcome, Exception) else plain_reply(outcome))


def _render_native_status(on_reply: OnReply, outcome: Outcome) -> None:
    on_reply(failure(outcome) if isinstance(outcome, Exception) else native_reply(outcome))


RENDERERS = {CHECK: _render_always_200, CHECK_HTTP: _render_native_status}


def failure(error: Exception) -> Reply:
    """Why there is no decision; a fault of ours is logged and told without its text."""
    if isinstance(error, CheckUnavailable):
        return replies.unavailable(str(error))
    if isinstance(error, InvalidBody):
        return replies.invalid(str(error))
    if isinstance(error, NotFound | Conflict):
        status = 404 if isinstance(error, NotFound) else 409
        return replies.problem(status, "Not settled", str(error))
    if isinstance(error, JournalUnavailable):
        return replies.unavailable(f"the usage journal cannot be written ({error.message})")
    if is_connection_lost(error):
        get_log(__name__).warning("check_without_database", error=repr(error))
        return replies.unavailable("the database is away and this key or token is not in memory")
    get_log(__name__).error("check_failed", exc_info=error)
    return replies.our_fault()


def bearer(header: str) -> str | None:
    """The token of an Authorization header, or None."""
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"
