"""An HTTP server inside a loop that somebody else owns: the socket first, signals left alone."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from portal.core.errors import StartupError
from web.check.protocol import CheckProtocol

GRACE_SECONDS = 10
BACKLOG = 2048
MAX_MESSAGE_BYTES = 128 * 1024
"""Of a WebSocket message; a window of compression for each connection would be memory that callers choose."""
HTTP_OPTIONS: dict[str, Any] = {
    "proxy_headers": False,
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "ws": "websockets-sansio",
    "ws_max_size": MAX_MESSAGE_BYTES,
    "ws_per_message_deflate": False,
    "timeout_graceful_shutdown": GRACE_SECONDS,
}
"""Uvicorn's, for every HTTP process that answers checks, GraphQL or pages."""


class Server(uvicorn.Server):
    """Uvicorn without its signal handlers: `portal run` decides when to stop, and stops its servers last."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(app: ASGIApp) -> Server:
    """Return a server for `app` with the fast lane for checks in front; it is run by `server.serve(sockets=[…])`."""
    return Server(uvicorn.Config(app, http=CheckProtocol, lifespan="off", **HTTP_OPTIONS))


@contextlib.asynccontextmanager
async def running_server(app: ASGIApp, sock: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """Serve `app` on a listening socket, in this loop, until the block ends; then requests under way finish.

    Yields the task that serves, which ends early only if the server fails.
    """
    server = make_server(app)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield serving
    finally:
        server.should_exit = True
        await serving


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket and let callers queue on it from now on. Raises StartupError."""
    sock = bind(host, port)
    sock.listen(BACKLOG)
    return sock


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket now, so that a taken port is an error before anything else starts; port 0 picks a free one.

    Raises StartupError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise StartupError(
            f"Cannot listen on {host}:{port}: {error.strerror}.",
            hint="Choose another port with --port (0 picks a free one).",
        ) from None
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket) -> str:
    """Return the http:// address at which a bound socket answers."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
