"""An HTTP server inside a loop that somebody else owns: the socket first, signals left alone."""

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from portal.core.errors import StartupError
from web.check.protocol import CheckProtocol

GRACE_SECONDS = 10
BACKLOG = 2048
MAX_MESSAGE_BYTES = 128 * 1024
"""Of a WebSocket message; a window of compression for each connection would be memory that callers choose."""


class Server(uvicorn.Server):
    """Does not touch signal handlers: `portal run` decides when to stop, and stops its servers last."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(app: ASGIApp) -> Server:
    config = uvicorn.Config(
        app,
        http=CheckProtocol,
        proxy_headers=False,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Server(config)


def listen(host: str, port: int) -> socket.socket:
    """`bind`, and let callers wait from now on."""
    sock = bind(host, port)
    sock.listen(BACKLOG)
    return sock


def bind(host: str, port: int) -> socket.socket:
    """Now, so that a taken port is an error before anything else starts; port 0 picks a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise StartupError(
            f"Cannot listen on {host}:{port}: {error.strerror}.", hint="Choose another one with --port (0: any free)."
        ) from None
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
