"""How one part tells another: events as rows of the transaction that caused them, relayed to the bus.

- An event is a fact with a fixed name on the wire; the `outbox` keeps it until it is relayed.
- `bus` carries batches and events to their handlers, at least once; portal.core.rabbit is the bus between machines.
"""
