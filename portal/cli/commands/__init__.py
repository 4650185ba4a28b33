"""One file a command of `portal`."""
