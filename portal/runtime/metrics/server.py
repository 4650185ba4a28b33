"""PORTAL_METRICS_PORT: /metrics on a port of its own, from a thread, so that it answers while the event loop stalls."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any

from portal.core.errors import StartupError
from portal.core.settings import Settings
from web.http import CollectMetrics, collect_here, render_metrics

SLOW_SECONDS = 10.0
MAX_CONNECTIONS = 16
"""At a time; one more is closed."""


@contextmanager
def serve_metrics(settings: Settings, collect: CollectMetrics = collect_here) -> Iterator[None]:
    """Serve for as long as the block lasts; do nothing without PORTAL_METRICS_PORT. Raises StartupError."""
    if not settings.metrics_port:
        yield
        return
    with serving_in_thread(_bind(settings, collect), "metrics-port"):
        yield


@contextmanager
def serving_in_thread(server: BaseServer, name: str) -> Iterator[None]:
    """Let a server answer in a thread of this name for as long as the block lasts, then close it."""
    threading.Thread(target=server.serve_forever, name=name, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class BoundedServer(ThreadingHTTPServer):
    """A thread a connection, so many at a time."""

    daemon_threads = True
    _places = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, or close it where all are busy."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, then give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away is nobody's error."""


def _bind(settings: Settings, collect: CollectMetrics) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = SLOW_SECONDS

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self._send(404, b"Not found. There is /metrics.\n", "text/plain; charset=utf-8")
                return
            body, media_type = render_metrics(collect(), ",".join(self.headers.get_all("Accept", [])))
            self._send(200, body, media_type)

        def _send(self, status: int, body: bytes, media_type: str) -> None:
            self.send_response_only(status)
            for name, value in (("Content-Type", media_type), ("Content-Length", str(len(body))), ("Vary", "Accept")):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 as the class it overrides calls it

    class Server(BoundedServer):
        address_family = socket.AF_INET6 if ":" in settings.metrics_host else socket.AF_INET

    try:
        return Server((settings.metrics_host, settings.metrics_port), Handler)
    except OSError as error:
        raise StartupError(
            f"Cannot serve metrics on {settings.metrics_host}:{settings.metrics_port}: {error.strerror}.",
            hint="Give each `portal serve` of a machine its own PORTAL_METRICS_PORT.",
        ) from None
