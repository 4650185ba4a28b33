"""Read a request's body up to a size."""

from starlette.requests import Request


async def read_body(request: Request, most: int) -> bytes | None:
    """None when it is larger; the rest is not read."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        return None
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)
