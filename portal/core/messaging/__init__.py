"""How one part tells another: events as rows of the transaction that caused them, relayed to the bus.

- `events` are facts with a fixed name on the wire; `outbox` keeps them until they are relayed.
- `bus` carries batches and events to their handlers, at least once; portal.core.rabbit is the bus between machines.
"""
