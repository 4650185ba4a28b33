"""`make bench`: our check, the peers and the ceilings, measured by turns in one run on this machine.

One table of all targets, with the ratio to each peer. What cannot be interleaved (questions about history, the pages'
statements) follows once after the rounds; what takes hours has a command of its own, to which the report leads.

Starts everything itself on loopback: PostgreSQL and Valkey, our servers, the peers; stops all of it. A round counts
only when its answers are right: a sample of bodies is read, no answer may be an error, and the journal (and the quota
counters in Redis) must hold exactly the checks that the load generator was answered, but for those under way when it
stopped.
"""
