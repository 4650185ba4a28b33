"""What of the benchmark is arithmetic."""
