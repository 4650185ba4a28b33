"""Read a request's body up to a size."""

from starlette.requests import Request


async def read_body(request: Request, max_bytes: int) -> bytes | None:
    """Return the body; None when it is larger than `max_bytes`, and the rest is not read.

    Raises ClientDisconnect when the client leaves before the end; there is nobody to answer then.
    """
    length = request.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > max_bytes:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)
