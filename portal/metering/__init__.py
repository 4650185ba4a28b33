"""Metering: usage that comes without a check, as CloudEvents, counted by the same ledger.

Owns no table: subjects become keys and accounts, times become billing periods, and portal.usage counts each event once.
It adds to quota and invoice like a check that was answered VALID, and is never denied.
"""

from portal.metering.cloud_events import CloudEvent, Parse, Refusal, parse_event, parse_event_batch
from portal.metering.meter import Meter, MeteringAccepted

__all__ = ["CloudEvent", "Meter", "MeteringAccepted", "Parse", "Refusal", "parse_event", "parse_event_batch"]
