"""What usage costs, a line each, as people read it. Pure."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from web.pages.framework import money, quantity


def usage_prices(tariff: dict[str, Any] | None) -> list[str]:
    """Return the lines; none where usage is free. `tariff` is a Tariff of the schema."""
    if tariff is None:
        return []
    lines = [line for charge in tariff["charges"] for line in _charge(charge, tariff["currency"])]
    return [*lines, *_bounds(tariff, tariff["currency"], "all usage")]


def _charge(charge: dict[str, Any], currency: str) -> Iterator[str]:
    if Decimal(charge["freeUnits"]):
        yield f"{quantity(charge['freeUnits'])} units included"
    if charge["model"] == "PER_UNIT":
        yield f"{_price(charge['unit'], currency)} per unit"
    elif charge["model"] == "PACKAGE":
        yield f"{_price(charge['price'], currency)} per {quantity(charge['size'])} units or part thereof"
    elif charge["model"] == "FLAT":
        yield f"{_price(charge['price'], currency)} per month for usage"
    else:
        yield from _tiers(charge["tiers"], currency, is_volume=charge["model"] == "VOLUME")
    yield from _bounds(charge, currency, "this")


def _tiers(tiers: list[dict[str, Any]], currency: str, *, is_volume: bool) -> Iterator[str]:
    for position, tier in enumerate(tiers):
        costs = _tier_price(tier, currency)
        if is_volume:
            reach = "beyond" if tier["upTo"] is None else f"up to {quantity(tier['upTo'])} units"
            yield f"{reach}: {costs}, for all units of the month"
        elif tier["upTo"] is None:
            yield f"then {costs}" if position else costs
        elif costs == "included":
            yield f"up to {quantity(tier['upTo'])} units included"
        else:
            yield f"{'then ' if position else ''}{costs} up to {quantity(tier['upTo'])}"


def _tier_price(tier: dict[str, Any], currency: str) -> str:
    unit, flat = Decimal(tier["unit"]), Decimal(tier["flat"])
    each = f"{_price(tier['unit'], currency)} per unit" if unit else ""
    fee = f"{_price(tier['flat'], currency)} flat" if flat else ""
    return " plus ".join(part for part in (fee, each) if part) or "included"


def _bounds(bounded: dict[str, Any], currency: str, what: str) -> Iterator[str]:
    for name, words in (("minimum", "at least"), ("maximum", "at most")):
        if bounded[name] is not None:
            yield f"{words} {_price(bounded[name], currency)} per month for {what}"


def _price(amount: str, currency: str) -> str:
    return money({"amount": amount, "currency": currency})
