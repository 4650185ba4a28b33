"""The HTTP parts."""
