"""History: series of buckets, and the log of single requests."""
