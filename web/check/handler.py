"""From the bytes of a check request to the reply, whichever way they travel (CheckProtocol or ASGI).

Works in callbacks, as the checker does: a warm check needs no task.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from portal.check import (
    BatchRequest,
    Checker,
    CheckOutcome,
    CheckResponse,
    CheckUnavailable,
    IdReused,
    Outcome,
    ServiceTokens,
    SettleRequest,
    check_atomic,
    parse_batch,
    parse_check,
    parse_settle,
    settle_check,
)
from portal.core.concurrency.background_tasks import BackgroundTasks
from portal.core.concurrency.waiting import wait_for_callback
from portal.core.errors import Conflict, InvalidBody, MalformedBody, NotFound
from portal.core.outages.database_errors import is_dependency_unavailable
from portal.core.outages.rate_limited_log import RateLimitedLog
from portal.usage import JournalUnavailable
from web.check import replies
from web.check.counters import COUNTERS
from web.check.replies import Reply, always_200_reply, batch_headers, batch_reply, native_status_reply, settled_reply

CHECK, CHECK_HTTP, CHECK_BATCH, CHECK_SETTLE = "/check", "/check/http", "/check/batch", "/check/settle"
MAX_BODY = {CHECK: 16 * 1024, CHECK_HTTP: 16 * 1024, CHECK_BATCH: 1024 * 1024, CHECK_SETTLE: 16 * 1024}

OnReply = Callable[[Reply], None]
_log = RateLimitedLog(__name__)
"""During an outage every check has the same to say."""


class CheckHandler:
    """Serves all check routes of a process."""

    def __init__(self, checker: Checker, tokens: ServiceTokens) -> None:
        self._checker = checker
        self._tokens = tokens
        self._tasks = BackgroundTasks()

    def is_known(self, token: str) -> bool:
        """Return whether a service has this token, as far as this process remembers."""
        return self._tokens.find_in_memory(token) is not None

    def start_identifying(self, token: str, on_identified: Callable[[Reply | None], None]) -> None:
        """Find out whose token this is; `on_identified` is given the reply that refuses it, or None."""
        self._tasks.start(self._tell_identified(token, on_identified))

    async def refuse_unknown(self, token: str) -> Reply | None:
        """Return the reply for a token that is no service's; None for one that is."""
        try:
            service_token_id = await self._tokens.identify(token)
        except Exception as error:
            return failure(error)
        return replies.no_token() if service_token_id is None else None

    async def _tell_identified(self, token: str, on_identified: Callable[[Reply | None], None]) -> None:
        on_identified(await self.refuse_unknown(token))

    def serve(self, path: str, token: str | None, body: bytes, on_reply: OnReply) -> None:
        """Serve a request; `token` is the bearer token or None. `on_reply` is called once, at once or later."""
        service_token_id = self._tokens.find_in_memory(token) if token else None
        if service_token_id is not None:
            self._serve_service(path, service_token_id, body, on_reply)
        elif not token:
            on_reply(replies.no_token())
        else:
            self._tasks.start(self._identify(path, token, body, on_reply))

    async def answer(self, path: str, token: str | None, body: bytes) -> Reply:
        """Serve a request and wait for the reply."""
        return await wait_for_callback(partial(self.serve, path, token, body))

    async def _identify(self, path: str, token: str, body: bytes, on_reply: OnReply) -> None:
        try:
            service_token_id = await self._tokens.identify(token)
        except Exception as error:
            on_reply(failure(error))
            return
        if service_token_id is None:
            on_reply(replies.no_token())
        else:
            self._serve_service(path, service_token_id, body, on_reply)

    def _serve_service(self, path: str, service_token_id: str, body: bytes, on_reply: OnReply) -> None:
        try:
            render = RENDERERS.get(path)
            if render is not None:
                self._checker.start(service_token_id, parse_check(body), partial(render, on_reply))
            elif path == CHECK_BATCH:
                self._serve_batch(service_token_id, parse_batch(body), on_reply)
            else:
                self._tasks.start(self._serve_settle(parse_settle(body), on_reply))
        except MalformedBody as error:
            on_reply(replies.malformed(str(error)))
        except InvalidBody as error:
            on_reply(replies.invalid(str(error)))
        except Exception as error:
            on_reply(failure(error))

    def _serve_batch(self, service_token_id: str, batch: BatchRequest, on_reply: OnReply) -> None:
        if batch.mode == "atomic":
            self._tasks.start(self._serve_atomic(service_token_id, batch, on_reply))
            return
        outcomes: list[Outcome | None] = [None] * len(batch.checks)
        waiting = len(batch.checks)

        def complete(position: int, outcome: Outcome) -> None:
            nonlocal waiting
            outcomes[position] = outcome
            waiting -= 1
            if waiting == 0:
                on_reply(_batch(outcomes))

        for position, request in enumerate(batch.checks):
            self._checker.start(service_token_id, request, partial(complete, position))

    async def _serve_atomic(self, service_token_id: str, batch: BatchRequest, on_reply: OnReply) -> None:
        try:
            outcomes = await check_atomic(self._checker, service_token_id, batch.checks)
        except Exception as error:
            on_reply(failure(error))
        else:
            on_reply(_batch(outcomes))

    async def _serve_settle(self, request: SettleRequest, on_reply: OnReply) -> None:
        try:
            await settle_check(self._checker.database, self._checker.limiter, request)
        except Exception as error:
            on_reply(failure(error))
        else:
            on_reply(settled_reply(request))


def _batch(outcomes: Sequence[Outcome | None]) -> Reply:
    """Return the reply of a batch. Never raises: the last of its checks sends it, once."""
    try:
        decided = [outcome for outcome in outcomes if isinstance(outcome, CheckOutcome)]
        if len(decided) == len(outcomes):
            return batch_reply([outcome.response for outcome in decided], batch_headers(decided))
        return batch_reply([_result(outcome) for outcome in outcomes], batch_headers(decided))
    except Exception as error:
        return failure(error)


def _result(outcome: Outcome | None) -> CheckResponse | msgspec.Raw:
    """Return a response, or the problem document of the check that has none."""
    if isinstance(outcome, CheckOutcome):
        return outcome.response
    assert outcome is not None  # noqa: S101 every place has been filled
    return msgspec.Raw(failure(outcome).body)


def _render_always_200(on_reply: OnReply, outcome: Outcome) -> None:
    on_reply(failure(outcome) if isinstance(outcome, Exception) else always_200_reply(outcome))


def _render_native_status(on_reply: OnReply, outcome: Outcome) -> None:
    on_reply(failure(outcome) if isinstance(outcome, Exception) else native_status_reply(outcome))


RENDERERS = {CHECK: _render_always_200, CHECK_HTTP: _render_native_status}


def failure(error: Exception) -> Reply:
    """Return the reply that says why there is no decision; a fault of ours is logged and its text not sent."""
    if isinstance(error, CheckUnavailable):
        COUNTERS.errors["undecided"] += 1
        return replies.unavailable(str(error))
    if isinstance(error, InvalidBody):
        return replies.invalid(str(error))
    if isinstance(error, IdReused):
        return replies.id_reused(error)
    if isinstance(error, NotFound | Conflict):
        return replies.problem(error.http_status, "Not settled", str(error))
    if isinstance(error, JournalUnavailable):
        COUNTERS.errors["journal"] += 1
        return replies.unavailable(f"the usage journal cannot be written ({error.message})")
    if is_dependency_unavailable(error):
        COUNTERS.errors["database"] += 1
        _log.warning("check_without_database", error=repr(error))
        return replies.unavailable("the database is away and this key or token is not in memory")
    COUNTERS.errors["internal"] += 1
    _log.error("check_failed", exc_info=error)
    return replies.our_fault()


def is_json(content_type: str) -> bool:
    """Return whether a Content-Type header says JSON."""
    return content_type.partition(";")[0].strip().lower() == "application/json"
