"""Billing periods: their units, settling a check's cost, closing them."""
