"""The journal: append-only files of a node, from the answered check to the bus."""
