"""What a process makes of a server that is away or in a bad mood.

database_errors   what an error of PostgreSQL means: try later, or refused for good; the one place that decides
outage_log        an outage is logged twice: when it begins, and when it is over
rate_limited_log  at most one line a second of a kind, with the number of those that were not written
"""
