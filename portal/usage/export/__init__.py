"""Export: raw events or buckets of an account as a file of any size."""
