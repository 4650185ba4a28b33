"""What every domain stands on. Owns the table `outbox`. Knows no domain.

- `settings`, `logs`, `errors`, `clock`, `ids`, `money`, `names`, `environments`: the words that all domains share
- `actor`: who asks, and which permission a verb requires
- `database`, `columns`: one transaction a request or message; `redis/`: shards and their addresses
- `messaging/`, `rabbit/`: events, the outbox, the bus in a process and between machines
- `concurrency/`: loops, callbacks and look-ups; `outages/`: what is made of a neighbour that is away
- `embedded/`, `server_versions`: the servers of `portal run`
"""
