"""The metrics of all processes of one `portal serve --workers N`, whichever of them is asked.

    child, one each   answers on a Unix socket with its own metrics, from a thread
    parent            asks every socket of the folder, merges, and answers on `hub`

What a child had counted when it was last asked stays in the sum after its end, so no counter jumps backwards; one that
hangs is shown as it last answered.
"""

import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric

from portal.runtime.metrics.families import decode_families, encode_families, merge_families, only_added
from portal.runtime.metrics.server import serving_in_thread
from web.http import CollectMetrics, collect_here

HUB = "hub"
CHILD_SUFFIX = ".process"
CHILD_SECONDS = 1.0
HUB_SECONDS = 5.0


class MetricsHub:
    """Asks the processes whose sockets are in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._last: dict[str, list[Metric]] = {}
        self._ended: list[Metric] = []

    def collect(self) -> list[Metric]:
        """Return the merged families, and how many processes answered."""
        with self._lock:
            found = {path.name: _ask_child(path) for path in sorted(self._folder.glob(f"*{CHILD_SUFFIX}"))}
            for name in self._last.keys() - {name for name, answer in found.items() if answer is not None}:
                self._ended = merge_families([self._ended, only_added(self._last.pop(name))])
            answering = 0
            for name, answer in found.items():
                if answer:
                    self._last[name] = answer
                    answering += 1
            processes = GaugeMetricFamily(
                "portal_processes", "Processes of this `portal serve` that answer.", answering
            )
            return [*merge_families([*self._last.values(), self._ended]), processes]


@contextmanager
def metrics_hub() -> Iterator[tuple[Path, CollectMetrics]]:
    """Answer for all children for as long as the block lasts. Yields their folder, and what collects from them."""
    folder = Path(tempfile.mkdtemp(prefix="portal-metrics-"))
    hub = MetricsHub(folder)
    try:
        with _answering(folder / HUB, hub.collect):
            yield folder, hub.collect
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def answer_hub(folder: Path) -> Iterator[None]:
    """Tell the parent this process's metrics whenever it asks, for as long as the block lasts."""
    with _answering(folder / f"{token_hex(8)}{CHILD_SUFFIX}", collect_here):
        yield


def collect_from_hub(folder: Path) -> list[Metric]:
    """Return what the parent collects from all processes; this one's own where the parent does not answer."""
    with suppress(OSError, msgspec.MsgspecError):
        return decode_families(_ask(folder / HUB, HUB_SECONDS))
    return collect_here()


@contextmanager
def _answering(path: Path, collect: Callable[[], list[Metric]]) -> Iterator[None]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.sendall(encode_families(collect()))

    server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
    server.daemon_threads = True
    try:
        with serving_in_thread(server, "metrics"):
            yield
    finally:
        path.unlink(missing_ok=True)


def _ask_child(path: Path) -> list[Metric] | None:
    """Return a child's metrics, [] while it hangs, None once it has ended; the socket of one that was killed goes."""
    try:
        return decode_families(_ask(path, CHILD_SECONDS))
    except TimeoutError:
        return []
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return None
    except (OSError, msgspec.MsgspecError):
        return None if not path.exists() else []


def _ask(path: Path, seconds: float) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(seconds)
        client.connect(str(path))
        parts = []
        while part := client.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)
