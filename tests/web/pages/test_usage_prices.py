"""What usage costs in words, for every model of charge."""

from typing import Any

import pytest

from web.pages.plan.usage_prices import usage_prices

NOTHING: dict[str, Any] = {
    "freeUnits": "0",
    "unit": "0",
    "size": "0",
    "price": "0",
    "tiers": [],
    "minimum": None,
    "maximum": None,
}
TIERS = [
    {"upTo": "1000000", "unit": "0", "flat": "0"},
    {"upTo": "10000000", "unit": "0.00006", "flat": "0"},
    {"upTo": None, "unit": "0.00004", "flat": "5"},
]


def price_lines(*charges: dict[str, Any], **bounds: str) -> list[str]:
    tariff = {"currency": "EUR", "minimum": None, "maximum": None} | bounds
    return usage_prices(tariff | {"charges": [NOTHING | charge for charge in charges]})


def test_without_a_tariff_there_is_nothing_to_tell() -> None:
    assert usage_prices(None) == []


@pytest.mark.parametrize(
    ("charge", "lines"),
    [
        (
            {"model": "GRADUATED", "tiers": TIERS},
            [
                "up to 1,000,000 units included",
                "then €0.00006 per unit up to 10,000,000",
                "then €5 flat plus €0.00004 per unit",
            ],
        ),
        (
            {"model": "GRADUATED", "tiers": [TIERS[1], TIERS[2]]},
            ["€0.00006 per unit up to 10,000,000", "then €5 flat plus €0.00004 per unit"],
        ),
        ({"model": "GRADUATED", "tiers": [TIERS[2]]}, ["€5 flat plus €0.00004 per unit"]),
        (
            {"model": "VOLUME", "tiers": TIERS[:1] + TIERS[2:]},
            [
                "up to 1,000,000 units: included, for all units of the month",
                "beyond: €5 flat plus €0.00004 per unit, for all units of the month",
            ],
        ),
        ({"model": "PER_UNIT", "unit": "0.01", "freeUnits": "100.5"}, ["100.5 units included", "€0.01 per unit"]),
        ({"model": "PACKAGE", "price": "10", "size": "1000"}, ["€10 per 1,000 units or part thereof"]),
        (
            {"model": "FLAT", "price": "49", "maximum": "40"},
            ["€49 per month for usage", "at most €40 per month for this"],
        ),
    ],
)
def test_each_model_has_its_words(charge: dict[str, Any], lines: list[str]) -> None:
    assert price_lines(charge) == lines


def test_bounds_of_the_whole_come_last() -> None:
    lines = price_lines({"model": "PER_UNIT", "unit": "0.01"}, minimum="5", maximum="500")
    assert lines[1:] == ["at least €5 per month for all usage", "at most €500 per month for all usage"]
