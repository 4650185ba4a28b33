"""The oldest servers that the portal works on, as `portal run` and `portal doctor` ask for them."""

MIN_POSTGRES = 15
"""Major version: the migrations and statements are tested on 15 and on 18."""
MIN_REDIS = (6, 0)
"""Major and minor: the limiter's scripts write with KEEPTTL, and users of access lists sign in. Any Valkey is newer."""
