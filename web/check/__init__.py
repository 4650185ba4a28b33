"""/check and its variants: parses, calls portal.check.Checker, renders. No rule of the check is here."""
