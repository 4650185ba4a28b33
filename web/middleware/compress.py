"""Compression of answers. GraphQL decides for itself: what holds a new secret is never compressed (BREACH)."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from web.http import accepts_gzip
from web.usage.export import PATH as EXPORT_PATH

MIN_BYTES = 600
LEVEL = 5
GRAPHQL = "/graphql"


class CompressionMiddleware(GZipMiddleware):
    """Compresses pages and files, but neither /graphql and what is below it nor exports.

    Compressing gigabytes in the event loop would hold up everybody else. Starlette's takes any mention of gzip for a
    wish, so it is shown only what was decided here.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == EXPORT_PATH or scope["path"].startswith(GRAPHQL):
            await self.app(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        if accepts_gzip(Request(scope)):
            headers.append((b"accept-encoding", b"gzip"))
        scope["headers"] = headers  # not a copy: others look here for the route that was found
        await super().__call__(scope, receive, send)
