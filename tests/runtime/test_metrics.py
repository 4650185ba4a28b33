"""Metrics of several processes as those of one, and their text as a client prefers it."""

import socket
import threading
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException
from math import isnan, nan
from time import sleep
from typing import Any

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from portal.core.settings import load_settings
from portal.runtime.container import make_budget
from portal.runtime.metrics.families import decode_families, encode_families, merge_families, only_added
from portal.runtime.metrics.server import MAX_CONNECTIONS, serve_metrics
from web.http import render_metrics

OPENMETRICS, TEXT = "application/openmetrics-text", "text/plain"
SERVICES: dict[str, Any] = {
    "database_url": "postgresql+asyncpg://portal@127.0.0.1/portal",
    "redis_urls": ["redis://127.0.0.1"],
}
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"


def process(checks: float, connected: float, quarantined: float) -> list[Metric]:
    counter = CounterMetricFamily("portal_checks", "Checks.", labels=["code"])
    counter.add_metric(["VALID"], checks)
    seconds = HistogramMetricFamily("portal_check_seconds", "Time.", labels=["route"])
    seconds.add_metric(["/check"], [("0.1", checks), ("+Inf", checks + 1)], 0.5)
    return [
        counter,
        seconds,
        GaugeMetricFamily("portal_check_requests_in_flight", "Waiting.", checks),
        GaugeMetricFamily("portal_shard_connected", "1 while connected.", connected),
        GaugeMetricFamily("portal_quarantine_entries", "Entries.", quarantined),
    ]


def values(families: list[Metric]) -> dict[str, float]:
    """By the sample's name, with its bucket where it has one."""
    return {s.name + s.labels.get("le", ""): s.value for family in families for s in family.samples}


def test_counts_add_up_and_what_all_see_alike_does_not() -> None:
    merged = values(merge_families([process(3, 1, 4), process(5, 0, 6), process(0, 1, nan)]))
    assert merged == {
        "portal_checks_total": 8,
        "portal_check_seconds_bucket0.1": 8,
        "portal_check_seconds_bucket+Inf": 11,
        "portal_check_seconds_count": 11,
        "portal_check_seconds_sum": 1.5,
        "portal_check_requests_in_flight": 8,
        "portal_shard_connected": 0,
        "portal_quarantine_entries": 6,
    }


def test_what_nobody_knows_stays_unknown() -> None:
    merged = values(merge_families([process(1, nan, nan), process(1, nan, nan)]))
    assert isnan(merged["portal_quarantine_entries"])
    assert isnan(merged["portal_shard_connected"])


def test_only_what_grows_outlives_its_process() -> None:
    kept = values(merge_families([process(3, 1, 4), only_added(process(5, 0, 9))]))
    assert (kept["portal_checks_total"], kept["portal_quarantine_entries"], kept["portal_shard_connected"]) == (8, 4, 1)


def test_families_travel_unchanged() -> None:
    sent = process(3, nan, 4)
    received = decode_families(encode_families(sent))
    assert values(received) == pytest.approx(values(sent), nan_ok=True)
    assert [(f.name, f.type, f.documentation) for f in received] == [(f.name, f.type, f.documentation) for f in sent]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", OPENMETRICS),
        ("*/*", OPENMETRICS),
        (OPENMETRICS, OPENMETRICS),
        (PROMETHEUS, OPENMETRICS),
        ("text/plain", TEXT),
        ("text/*", TEXT),
        ("TEXT/PLAIN ; version=0.0.4", TEXT),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.9", TEXT),
        ("application/openmetrics-text;q=0, */*", TEXT),
        ("text/plain;q=0.5, */*;q=0.4", TEXT),
        ("text/html, */*;q=0.1", OPENMETRICS),
        ("text/html", OPENMETRICS),
        (";;,,q=", OPENMETRICS),
    ],
)
def test_the_form_is_the_clients_choice(accept: str, media_type: str) -> None:
    body, sent = render_metrics(process(3, 1, nan), accept)
    assert sent.startswith(media_type)
    assert body.endswith(b"# EOF\n") == (media_type == OPENMETRICS)
    if media_type == TEXT:
        found = {sample.name for family in text_string_to_metric_families(body.decode()) for sample in family.samples}
        assert {"portal_checks_total", "portal_check_seconds_bucket", "portal_quarantine_entries"} <= found


def test_a_flood_of_the_metrics_port_takes_a_few_threads() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = load_settings(**SERVICES, metrics_port=port, metrics_host="127.0.0.1")
    before = threading.active_count()
    with serve_metrics(settings, list), ExitStack() as flood:
        for _ in range(3 * MAX_CONNECTIONS):
            flood.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        assert threading.active_count() <= before + MAX_CONNECTIONS + 1
        flood.close()
        for _ in range(100):
            with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", port, timeout=5)) as client:
                client.request("GET", "/metrics")
                assert client.getresponse().status == 200
                return
            sleep(0.05)
        raise AssertionError("no place was given back")


def test_proxies_of_the_provider_have_no_share_of_connections() -> None:
    settings = load_settings(
        **SERVICES, trusted_proxies=["10.0.0.0/8"], max_connections=60, max_connections_per_address=20
    )
    budget = make_budget(settings)
    proxy, stranger = ([Idle() for _ in range(21)] for _ in range(2))
    assert all(budget.admit(connection, "10.1.2.3") for connection in proxy)
    assert not any(connection.is_aborted for connection in proxy)
    for connection in stranger:
        budget.admit(connection, "203.0.113.9")
    assert any(connection.is_aborted for connection in stranger)


class Idle:
    """A connection that has sent nothing."""

    is_idle = True
    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True
