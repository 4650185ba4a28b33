"""Usage as it travels: external events in, exports out."""
