"""Read a tariff from a file."""

import json
from pathlib import Path

from portal import billing
from portal.billing import Tariff, currency_from
from portal.core.errors import Invalid


def read_tariff(path: Path, currency: str | None = None) -> Tariff:
    """Return the tariff, in `currency` if that is given, as one that may be set on a plan.

    Raises Invalid with the path inside the file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", hint="Name a tariff file.") from None
    except (ValueError, RecursionError):
        raise Invalid(f"{path} is not JSON.", hint="Name a tariff file.") from None
    if currency is not None and isinstance(document, dict):
        document["currency"] = currency_from(currency, ("--currency",))
    return billing.parse_new_tariff(document)
