"""What every domain stands on: settings, database, Redis, bus, outbox, actor, ids, clock, money, errors, logs.

Owns the table `outbox`. Knows no domain.
"""
