"""`make bench`: our check, the peers and the ceilings, measured by turns in one run on this machine.

Starts everything itself on loopback: PostgreSQL and Valkey, our servers, the peers; stops all of it. A round counts
only when its answers are right: a sample of bodies is read, no answer may be an error, and the journal (and the quota
counters in Redis) must hold exactly the checks that the load generator was answered, but for those under way when it
stopped.
"""
