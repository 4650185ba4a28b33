"""The text of /metrics: OpenMetrics, or Prometheus's older text form where a client prefers it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from web.http.request import parse_accept

CollectMetrics = Callable[[], Iterable[Metric]]
"""Returns every family of this process, or of all that it speaks for. It may block: call it in a thread."""
_OPENMETRICS = ("application/openmetrics-text", "application/*", "*/*")
_TEXT = ("text/plain", "text/*", "*/*")


def collect_here() -> list[Metric]:
    """Return the metrics of this process alone."""
    return [*REGISTRY.collect()]


def render_metrics(families: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """Return the body and its media type by an Accept header; without a preference OpenMetrics."""
    source: Any = _Collected(families)
    weights = dict(parse_accept(accept)) if accept.strip() else {"*/*": 1.0}
    if _weight_of(_TEXT, weights) > _weight_of(_OPENMETRICS, weights):
        return generate_text(source), CONTENT_TYPE_PLAIN_0_0_4
    return generate_latest(source), CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped


def metrics_route(collect: CollectMetrics = collect_here) -> Route:
    """Return the route /metrics. What it tells is gathered in a thread, and never of a key or an account."""

    async def metrics(request: Request) -> Response:
        accept = ",".join(request.headers.getlist("Accept"))
        body, media_type = await asyncio.to_thread(lambda: render_metrics(collect(), accept))
        return Response(body, headers={"Content-Type": media_type, "Vary": "Accept"})

    return Route("/metrics", metrics)


class _Collected:
    """What a registry is to the functions that write the text."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _weight_of(names: tuple[str, ...], weights: dict[str, float]) -> float:
    """Return the weight of the most specific name that the client gave."""
    return next((weights[name] for name in names if name in weights), 0.0)
