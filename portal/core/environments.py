"""The environments of a key: what is billed, and what is free to try."""

LIVE = "live"
TEST = "test"
ENVIRONMENTS = (LIVE, TEST)
