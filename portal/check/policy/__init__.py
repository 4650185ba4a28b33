"""What a check needs to know of a key: compiled from PostgreSQL, cached, and never older than Redis knows."""
