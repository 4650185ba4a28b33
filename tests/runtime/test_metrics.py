"""Metrics of several processes as those of one, and their text as a client prefers it."""

from math import isnan, nan

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from portal.runtime.metrics.families import decode_families, encode_families, merge_families, only_added
from web.http import render_metrics

OPENMETRICS, TEXT = "application/openmetrics-text", "text/plain"
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
