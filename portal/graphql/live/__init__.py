"""Events for subscribers: the account's counters, and what happened to its keys.

    hub.py        SubscriptionHub: who watches which account in this process
    snapshots.py  the counters, read by the hub's poller
    publish.py    from the outbox relay to Redis     key_events.py  the message between them
    listener.py   from Redis to the hub              queue.py       each subscriber's bounded queue

One poller reads an account's counters each second for all who watch it in this process; one connection to each Redis
shard hears what happened to keys, also in other processes: the outbox relay publishes it there after the commit. Each
subscriber has a queue of a fixed size. Counters keep only the newest for a slow reader; a reader too slow for events
is told so and cut off. With the last subscriber of an account its poller and channel end.

Failure: while PostgreSQL is away counters stand still. When Redis goes, events may have been missed: the subscriptions
to them end with INTERRUPTED, so that a client reads anew and subscribes again. Nothing here is on the way of a check.
"""

from portal.graphql.live.hub import Interrupted, SubscriptionHub
from portal.graphql.live.key_events import KeyEvent
from portal.graphql.live.publish import Publisher
from portal.graphql.live.queue import BoundedQueue, SlowConsumer
from portal.graphql.live.snapshots import UsageSnapshot

__all__ = ["BoundedQueue", "Interrupted", "KeyEvent", "Publisher", "SlowConsumer", "SubscriptionHub", "UsageSnapshot"]
