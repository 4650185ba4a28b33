"""A plan as a document, which staff write and read: checked strictly, since a misspelled limit is a wrong promise.

Pure. The tariff inside is portal.billing's to check; here it only has to be in the plan's currency.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from portal.core.errors import Invalid
from portal.core.money import CURRENCIES, Money
from portal.core.texts import check_name, check_text
from portal.plans.entitlement import FAILURE_POLICIES
from portal.plans.models import Plan

MAX_DESCRIPTION = 500
MAX_PRICE = Decimal(10) ** 12
MAX_UNITS = 10**15
MAX_RANK = 10**6
MAX_LIMITS = 20
MAX_AMOUNT = 10**9
MIN_WINDOW_MS, MAX_WINDOW_MS = 100, 31 * 24 * 3600 * 1000
MAX_RESOURCE = 200
VISIBILITIES = ("public", "approval", "staff")
ALGORITHMS = ("sliding_window", "token_bucket")
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")
LIMIT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
OF_PLAN = ("slug", "rank", "visibility")
OF_VERSION = (
    *("name", "description", "price", "currency", "monthly_quota", "is_overage_allowed"),
    *("failure_policy", "limits", "tariff"),
)
FIELDS = (*OF_PLAN, *OF_VERSION)
LIMIT_FIELDS = ("name", "amount", "window_ms", "algorithm", "per", "burst", "resource")


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the document that describes a plan: what `create_plan` would make it of."""
    price = Money(plan.price, plan.currency).rounded().amount
    return {field: getattr(plan, field) for field in FIELDS} | {"price": str(price)}


def parse_plan(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of the plan that a document describes, with defaults for what it leaves out.

    Raises Invalid with the path of the first mistake.
    """
    _check_fields(document, FIELDS, ())
    currency = document.get("currency", "EUR")
    if not isinstance(currency, str) or currency not in CURRENCIES:
        raise Invalid("This is no currency.", hint="Write its ISO 4217 code, like EUR.", path=("currency",))
    tariff = document.get("tariff") or {}
    if not isinstance(tariff, Mapping) or (tariff and tariff.get("currency") != currency):
        raise Invalid(f"The tariff is not in {currency}.", hint=f"Write it in {currency}.", path=("tariff", "currency"))
    quota = document.get("monthly_quota")
    return {
        "slug": _slug(document.get("slug")),
        "rank": None if document.get("rank") is None else _whole(document["rank"], 1, MAX_RANK, ("rank",)),
        "visibility": _choice(document.get("visibility", VISIBILITIES[0]), VISIBILITIES, ("visibility",)),
        "name": check_name(_text(document.get("name"), ("name",))),
        "description": _description(document.get("description", "")),
        "price": _price(document.get("price", "0"), currency),
        "currency": currency,
        "monthly_quota": None if quota is None else _whole(quota, 0, MAX_UNITS, ("monthly_quota",)),
        "is_overage_allowed": _flag(document.get("is_overage_allowed", False), ("is_overage_allowed",)),
        "failure_policy": _choice(document.get("failure_policy", "open"), (*FAILURE_POLICIES,), ("failure_policy",)),
        "limits": _limits(document.get("limits", [])),
        "tariff": dict(tariff),
    }


def _check_fields(document: object, fields: tuple[str, ...], path: tuple[str, ...]) -> None:
    if not isinstance(document, Mapping):
        raise Invalid("This is no object.", hint=f"Its fields are {', '.join(fields)}.", path=path)
    unknown = next((name for name in document if name not in fields), None)
    if unknown is not None:
        raise Invalid("This field is not known.", hint=f"Known are {', '.join(fields)}.", path=(*path, str(unknown)))


def _text(value: object, path: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise Invalid(f"`{path[-1]}` is missing or no text.", hint="Write it in quotes.", path=path)
    return value


def _slug(value: object) -> str:
    slug = _text(value, ("slug",))
    if not SLUG.fullmatch(slug):
        raise Invalid(
            "This is no slug.", hint="Up to 50 lower-case letters, digits and hyphens, like pro.", path=("slug",)
        )
    return slug


def _description(value: object) -> str:
    text = check_text(_text(value, ("description",)).strip(), "description")
    if len(text) > MAX_DESCRIPTION:
        raise Invalid(
            "The description is too long.", hint=f"At most {MAX_DESCRIPTION} characters.", path=("description",)
        )
    return text


def _price(value: object, currency: str) -> Decimal:
    path, hint = ("price",), 'Write it as text, like "49.00": at least 0, below 10^12.'
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Invalid("The price is no decimal amount.", hint=hint, path=path)
    try:
        price = Decimal(value)
    except InvalidOperation:
        raise Invalid("The price is no decimal amount.", hint=hint, path=path) from None
    if not price.is_finite() or not 0 <= price < MAX_PRICE:
        raise Invalid("The price cannot be charged.", hint=hint, path=path)
    rounded = Money(price, currency).rounded().amount
    if rounded != price:
        raise Invalid(f"{currency} has no amounts as small as that.", hint=f"Write {rounded}, for example.", path=path)
    return rounded


def _whole(value: object, least: int, most: int, path: tuple[str, ...]) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Invalid(f"`{path[-1]}` is a whole number from {least} to {most}.", path=path)
    return value


def _flag(value: object, path: tuple[str, ...]) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"`{path[-1]}` is true or false.", path=path)
    return value


def _choice(value: object, choices: tuple[str, ...], path: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise Invalid(f"`{path[-1]}` is none of its values.", hint=f"It is one of {', '.join(choices)}.", path=path)
    return value


def _limits(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list | tuple) or len(value) > MAX_LIMITS:
        raise Invalid("`limits` is a list.", hint=f"At most {MAX_LIMITS} limits, in brackets.", path=("limits",))
    limits = [_limit(entry, ("limits", str(place))) for place, entry in enumerate(value)]
    names = [limit["name"] for limit in limits]
    for place, name in enumerate(names):
        if name in names[:place]:
            path = ("limits", str(place), "name")
            raise Invalid("Two limits have this name.", hint="Give each a name of its own.", path=path)
    return limits


def _limit(entry: object, path: tuple[str, ...]) -> dict[str, Any]:
    _check_fields(entry, LIMIT_FIELDS, path)
    assert isinstance(entry, Mapping)  # noqa: S101  # checked above
    name = _text(entry.get("name"), (*path, "name"))
    if not LIMIT_NAME.fullmatch(name) or name.startswith("own-") or name == "month":
        hint = "Up to 30 lower-case letters, digits and hyphens; not month, nor own- in front."
        raise Invalid("This is no name of a limit.", hint=hint, path=(*path, "name"))
    limit: dict[str, Any] = {
        "name": name,
        "algorithm": _choice(entry.get("algorithm", ALGORITHMS[0]), ALGORITHMS, (*path, "algorithm")),
        "amount": _whole(entry.get("amount"), 1, MAX_AMOUNT, (*path, "amount")),
        "window_ms": _whole(entry.get("window_ms"), MIN_WINDOW_MS, MAX_WINDOW_MS, (*path, "window_ms")),
        "per": _choice(entry.get("per", "key"), ("key", "account"), (*path, "per")),
    }
    if entry.get("burst") is not None:
        if limit["algorithm"] != "token_bucket":
            hint = "Leave burst out, or choose token_bucket."
            raise Invalid("A sliding window has no burst.", hint=hint, path=(*path, "burst"))
        limit["burst"] = _whole(entry["burst"], 1, MAX_AMOUNT, (*path, "burst"))
    if entry.get("resource") is not None:
        resource = check_text(_text(entry["resource"], (*path, "resource")), "resource")
        if not 1 <= len(resource) <= MAX_RESOURCE or "*" in resource[:-1]:
            hint = f"1 to {MAX_RESOURCE} characters, a * at the end only."
            raise Invalid("This is no endpoint.", hint=hint, path=(*path, "resource"))
        limit["resource"] = resource
    return limit
