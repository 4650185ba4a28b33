"""The demo of `portal run --demo`, and `portal demo traffic`."""
