"""Usage: totals, chart and table of any range."""
