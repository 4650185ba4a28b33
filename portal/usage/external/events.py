"""An external usage event, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from portal.core.clock import to_microseconds
from portal.core.ids import encode_128
from portal.usage.ingest import ResourceKey
from portal.usage.records import REQUEST_PREFIX

ExternalId = tuple[str, str, str]
"""(account_id, source, event_id): counts once."""


@dataclass(frozen=True, slots=True)
class ExternalEvent:
    """`key_id` is empty for usage of the account as such; `period` is the billing period that `occurred_at` lies in.

    Without a time of its own, `occurred_at` is when it was received.
    """

    account_id: str
    source: str
    event_id: str
    occurred_at: datetime
    key_id: str
    environment: str
    resource: str
    cost: int
    period: str
    has_own_time: bool = True

    @property
    def external_id(self) -> ExternalId:
        """Return what the event is counted once under."""
        return self.account_id, self.source, self.event_id

    @property
    def resource_key(self) -> ResourceKey:
        """Its resource on its day, for the cap."""
        return self.account_id, self.occurred_at.date(), self.resource

    @property
    def request_id(self) -> str:
        """Its id in the request log, if it is new: 72 bits of a hash stand where a check has its node and counter.

        The account is part of the hash: two accounts may have events of the same source, id and time.
        """
        ending = int.from_bytes(sha256("\0".join(self.external_id).encode()).digest()[:9], "big")
        return REQUEST_PREFIX + encode_128(to_microseconds(self.occurred_at) << 72 | ending)

    @property
    def digest(self) -> bytes:
        """Equal for the same content: not the period, since the account's time zone may change, nor when it came."""
        time = self.occurred_at.isoformat() if self.has_own_time else ""
        content = (time, self.key_id, self.environment, self.resource, str(self.cost))
        return sha256("\0".join(content).encode()).digest()


class ExternalStatus(StrEnum):
    COUNTED = "counted"
    DUPLICATE = "duplicate"
    """The same event was counted before; nothing was added."""
    CONFLICT = "conflict"
    """Another content was counted under this id; nothing was added."""


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """What is counted under an external id: its row in the request log, and the digest of its content."""

    request_id: str
    digest: bytes

    def status_of(self, event: ExternalEvent) -> ExternalStatus:
        """Return what an event is that came after this one under the same id."""
        return ExternalStatus.DUPLICATE if event.digest == self.digest else ExternalStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class ExternalResult:
    """What became of an event; `request_id` names what is counted under its id."""

    status: ExternalStatus
    request_id: str
