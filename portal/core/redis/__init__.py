"""Redis shards: their addresses, and which of them holds an account."""
