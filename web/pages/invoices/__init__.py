"""Invoices: the list with the draft of the next one, and each in detail."""
