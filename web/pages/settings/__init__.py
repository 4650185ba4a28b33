"""Settings: one's accounts, sessions and tokens; for staff, the gateways."""
