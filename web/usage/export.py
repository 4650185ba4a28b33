"""GET /usage/export: the account's usage as a file, for a browser's session or a personal token.

It is sent while it is read, so any size takes the same memory. A reader that goes away, stands still or takes a quarter
of an hour ends the query; a failure halfway cuts the connection off, so that half a file never looks whole.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from portal import usage
from portal.core.actor import Actor, Permission
from portal.core.database import Database
from portal.core.environments import ENVIRONMENTS
from portal.core.errors import Invalid, Unauthenticated
from portal.core.logs import get_log
from web.auth.authenticate import authenticate
from web.auth.session import SignInNeeded
from web.http import wants_html
from web.services import services_of

PATH = "/usage/export"
MAX_EXPORTS = 8
MAX_ACCOUNT_EXPORTS = 2
STALL_SECONDS = 60.0
EXPORT_SECONDS = 900.0
"""The longest that an export may take altogether: it holds a database connection as long."""
MEDIA_TYPES = {
    usage.ExportFormat.CSV: "text/csv; charset=utf-8",
    usage.ExportFormat.CSV_EXCEL: "text/csv; charset=utf-8",
    usage.ExportFormat.JSONL: "application/jsonl",
    usage.ExportFormat.PARQUET: "application/vnd.apache.parquet",
}
PARAMETERS = ("format", "rows", "from", "to", "key", "resource", "outcome", "environment")
Choice = TypeVar("Choice", bound=StrEnum)
_log = get_log("web.export")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What the address asks for."""

    query: usage.ExportQuery
    format: usage.ExportFormat

    @property
    def file_name(self) -> str:
        days = "-".join(f"{instant.astimezone(UTC):%Y%m%d}" for instant in (self.query.start, self.query.end))
        return f"usage-{self.query.rows}-{days}.{self.format.suffix}"


class Exports:
    """Exports of this process, at most MAX_EXPORTS at a time and MAX_ACCOUNT_EXPORTS of an account.

    Each keeps a database connection until it ends.
    """

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()

    async def answer(self, request: Request) -> Response:
        """Stream the export; HEAD only estimates its rows.

        Raises Forbidden, Invalid, SignInNeeded, HTTPException 401, 429 and 503.
        """
        actor = await _caller(request)
        export_request = parse_export_request(request)
        database = services_of(request).database
        self._check_room(actor.account_id)
        async with database.transaction(actor.account_id) as tx:
            if request.method == "HEAD":
                actor.require(Permission.USAGE_READ)
                total = await usage.estimate_rows(tx, actor.account_id, export_request.query)
            else:
                total = await usage.start_export(tx, actor, export_request.query, export_request.format)
        self._check_room(actor.account_id)
        return _Export(database, actor, export_request, total, self)

    def _check_room(self, account_id: str) -> None:
        if self._running[account_id] >= MAX_ACCOUNT_EXPORTS:
            detail = f"{MAX_ACCOUNT_EXPORTS} exports of this account are running; wait until one of them has ended."
            raise HTTPException(429, detail, {"Retry-After": "10"})
        if self._running.total() >= MAX_EXPORTS:
            raise HTTPException(503, "Other exports are running; try again soon.", {"Retry-After": "10"})

    @contextmanager
    def counted(self, account_id: str) -> Iterator[None]:
        """Count an export of the account for as long as the block lasts."""
        self._running[account_id] += 1
        try:
            yield
        finally:
            self._running[account_id] -= 1
            if not self._running[account_id]:
                del self._running[account_id]


class _Export(Response):
    """Sends the file piece by piece, each after the reader has taken the one before."""

    def __init__(
        self, database: Database, actor: Actor, export_request: ExportRequest, total: int, exports: Exports
    ) -> None:
        super().__init__(media_type=MEDIA_TYPES[export_request.format])
        del self.headers["Content-Length"]
        self.headers["Content-Disposition"] = f'attachment; filename="{export_request.file_name}"'
        self.headers["X-Total-Estimate"] = str(total)
        self.headers["Cache-Control"] = "no-store"
        self._database, self._actor, self._export_request, self._exports = database, actor, export_request, exports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._exports.counted(self._actor.account_id):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._send_unless_left(receive, send)

    async def _send_unless_left(self, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_until_disconnected(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not sending.done():
                _log.info("export_abandoned", account_id=self._actor.account_id)
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled() and (error := sending.exception()):
            raise error

    async def _send(self, send: Send) -> None:
        async with asyncio.timeout(EXPORT_SECONDS):
            await self._send_file(send)

    async def _send_file(self, send: Send) -> None:
        account_id = self._actor.account_id
        async with self._database.transaction(account_id) as tx:
            pieces = usage.export_usage(tx, account_id, self._export_request.query, self._export_request.format)
            async with aclosing(pieces):
                async for piece in pieces:
                    async with asyncio.timeout(STALL_SECONDS):
                        await send({"type": "http.response.body", "body": piece.data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _until_disconnected(receive: Receive) -> None:
    """Return when the reader has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _caller(request: Request) -> Actor:
    """Return who asks. Raises SignInNeeded for a browser, HTTPException 401 for a program."""
    try:
        caller = await authenticate(request)
    except Unauthenticated as error:
        raise HTTPException(401, str(error), {"WWW-Authenticate": 'Bearer realm="portal"'}) from None
    if caller.person is not None:
        return caller.actor
    if wants_html(request):
        raise SignInNeeded
    hint = "Send a personal token as Authorization: Bearer pat_…, or sign in."
    raise HTTPException(401, hint, {"WWW-Authenticate": 'Bearer realm="portal"'})


def parse_export_request(request: Request) -> ExportRequest:
    """Return what the address asks for. Raises Invalid with the name of the parameter."""
    parameters = request.query_params
    for name in parameters:
        if name not in PARAMETERS:
            raise Invalid(f"There is no parameter {name[:60]!r}.", hint=f"There are {', '.join(PARAMETERS)}.")
    environment = parameters.get("environment") or None
    if environment not in (None, *ENVIRONMENTS):
        raise Invalid("`environment` must be live or test.", path=("environment",))
    key, outcome = parameters.get("key") or None, parameters.get("outcome") or None
    query = usage.ExportQuery(
        start=_instant(parameters.get("from", ""), "from"),
        end=_instant(parameters.get("to", ""), "to"),
        rows=_choice(usage.ExportRows, parameters.get("rows", "events"), "rows"),
        filter=usage.UsageFilter(key, parameters.get("resource"), outcome, environment),
    )
    return ExportRequest(query, _choice(usage.ExportFormat, parameters.get("format", "csv"), "format"))


def _instant(text: str, name: str) -> datetime:
    """Parse an instant. A plus sign that was not escaped arrives as a space."""
    try:
        return datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Invalid(
            f"`{name}` must be an instant.", hint="Write it like 2026-11-01T00:00:00Z.", path=(name,)
        ) from None


def _choice(kind: type[Choice], text: str, name: str) -> Choice:
    try:
        return kind(text)
    except ValueError:
        raise Invalid(f"`{name}` must be one of {', '.join(kind)}.", path=(name,)) from None


def export_route() -> Route:
    return Route(PATH, Exports().answer, methods=["GET"], name="usage_export")
