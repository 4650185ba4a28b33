"""Metering: usage that comes without a check, as CloudEvents, counted in the same ledger.

    bytes -> cloud_events.parse_event…        each event or its refusal
          -> meter.Meter.count                subjects become keys and accounts, times become billing periods
          -> portal.usage.ingest_external     each (account, source, id) once
          -> sync_quota_counters              Redis follows

Owns no table. External usage adds to quota and invoice like a check that was answered VALID, and is never denied.
"""

from portal.metering.cloud_events import (
    CloudEvent,
    Parse,
    Refusal,
    parse_binary_event,
    parse_event,
    parse_event_batch,
)
from portal.metering.meter import Meter, MeteringAccepted

__all__ = [
    "CloudEvent",
    "Meter",
    "MeteringAccepted",
    "Parse",
    "Refusal",
    "parse_binary_event",
    "parse_event",
    "parse_event_batch",
]
