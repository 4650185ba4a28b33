"""The door: the `portal` command. Wires settings, services and processes; nothing imports it."""

from portal.cli.main import main

__all__ = ["main"]
