"""Compression of answers. GraphQL decides for itself: what holds a new secret is never compressed (BREACH)."""

from gzip import compress

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from web.http.accept import quality_of
from web.usage.export import PATH as EXPORT_PATH

MIN_BYTES = 600
LEVEL = 5
GRAPHQL = "/graphql"


class CompressionMiddleware(GZipMiddleware):
    """Of pages and files; not of /graphql and what lies below it, and not of exports.

    Squeezing gigabytes in the loop would hold up everybody else. Starlette's own takes any mention of gzip for a wish,
    so it is shown only what was settled here.
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


def accepts_gzip(request: Request) -> bool:
    """RFC 9110, 12.5.3: named with a quality above 0, or not named where `*` has one. Nothing said is no."""
    qualities: dict[str, float] = {}
    for part in ",".join(request.headers.getlist("Accept-Encoding")).split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        qualities["gzip" if name == "x-gzip" else name] = quality_of(parameters)
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def compressed(request: Request, body: bytes) -> bytes | None:
    """None where it is not worth it, or not accepted."""
    if len(body) < MIN_BYTES or not accepts_gzip(request):
        return None
    return compress(body, LEVEL, mtime=0)
