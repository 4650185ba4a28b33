"""Compression of answers. GraphQL decides for itself: what holds a new secret is never compressed (BREACH)."""

from gzip import compress

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from web.usage_export import PATH as EXPORT_PATH

LEAST_BYTES = 600
LEVEL = 5
GRAPHQL = "/graphql"


class Compression(GZipMiddleware):
    """Of pages and files; not of /graphql and what lies below it, and not of exports.

    Squeezing gigabytes in the loop would hold up everybody else.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_left = scope["type"] != "http" or scope["path"] == EXPORT_PATH or scope["path"].startswith(GRAPHQL)
        await (self.app if is_left else super().__call__)(scope, receive, send)


def compressed(request: Request, body: bytes) -> bytes | None:
    """None where it is not worth it, or not accepted."""
    if len(body) < LEAST_BYTES or "gzip" not in request.headers.get("Accept-Encoding", ""):
        return None
    return compress(body, LEVEL, mtime=0)
