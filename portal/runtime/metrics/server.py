"""PORTAL_METRICS_PORT: /metrics on a port of its own, from a thread, so that it answers while the event loop stalls."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from portal.core.errors import StartupError
from portal.core.settings import Settings
from web.http import CollectMetrics, collect_here, render_metrics

SLOW_SECONDS = 10.0


@contextmanager
def serve_metrics(settings: Settings, collect: CollectMetrics = collect_here) -> Iterator[None]:
    """Serve for as long as the block lasts; do nothing without PORTAL_METRICS_PORT. Raises StartupError."""
    if not settings.metrics_port:
        yield
        return
    server = _bind(settings, collect)
    threading.Thread(target=server.serve_forever, name="metrics-port", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


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

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in settings.metrics_host else socket.AF_INET
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None: ...

    try:
        return Server((settings.metrics_host, settings.metrics_port), Handler)
    except OSError as error:
        raise StartupError(
            f"Cannot serve metrics on {settings.metrics_host}:{settings.metrics_port}: {error.strerror}.",
            hint="Give each `portal serve` of a machine its own PORTAL_METRICS_PORT.",
        ) from None
