"""External usage: what a product metered itself, each event counted once."""
