"""/check and its variants: parses, calls portal.check.Checker, renders. No rule of the check is here."""

from web.check.routes import check_routes

__all__ = ["check_routes"]
