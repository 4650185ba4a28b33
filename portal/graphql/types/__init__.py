"""The schema's types, queries and mutations, one file a domain. For portal.graphql only; no import work here.

    keys.py, key_mutations.py, key_limits.py, key_health.py  keys and what holds them
    plans/, tariffs.py, invoices.py                          what is sold, priced and billed
    usage.py, requests.py                                    usage over time, single checks
    accounts.py, sessions.py, personal_tokens.py, service_tokens.py, audit.py  who calls, and the log
    subscriptions.py                                         counters and key changes as they happen

A type wraps a row or dataclass of its domain with `of`; a field says what it requires with `@requires`.
"""
