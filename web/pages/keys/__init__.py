"""Keys: list, create, reveal once, change, rotate, pause, revoke."""
