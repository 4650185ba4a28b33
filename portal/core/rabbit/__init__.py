"""RabbitMQ as the bus between machines: quorum queues, confirms, redelivery with delay, dead letters that are kept.

Owns, for each subject, the queues `<subject>`, `<subject>.retry` and `<subject>.dead`, and the exchanges `portal` and
`portal.dead`; declares them itself, on 3.10 and 4.x alike. Publishing and consuming have a connection each, since a
broker that is short of memory or disk stops reading from publishers, and acknowledgements must not wait behind that.

A message is lost by no failure: it is published with a confirm and `mandatory`, acknowledged after it was handled, and
what cannot be handled ends in the dead queue with its reason. Any message may come twice; handlers recognise it.
"""

from portal.core.rabbit.bus import BrokerStatus, RabbitBus
from portal.core.rabbit.dead_letters import DeadLetter, DeadLetters
from portal.core.rabbit.link import BROKER_ERRORS, connect, takes_messages, version_of
from portal.core.rabbit.topology import DELIVERY_LIMIT, dead_queue, ensure_topology, is_as_declared, retry_queue

__all__ = [
    "BROKER_ERRORS",
    "DELIVERY_LIMIT",
    "BrokerStatus",
    "DeadLetter",
    "DeadLetters",
    "RabbitBus",
    "connect",
    "dead_queue",
    "ensure_topology",
    "is_as_declared",
    "retry_queue",
    "takes_messages",
    "version_of",
]
