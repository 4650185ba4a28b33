"""A tariff that is set can give no amount that could not be stored, however much is used."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.billing import Tariff, add_up, parse_new_tariff, parse_tariff, rate_usage, tariff_document
from portal.billing.new_tariff import MAX_AMOUNT, MAX_COUNTED
from portal.core.errors import Invalid
from portal.plans.catalogue.starter_catalogue import STARTER_PLANS
from tests.billing.sample import GRADUATED, PER_UNIT, VOLUME, document_of, tariffs

HIGHEST = "999999999999999"
STORED = Decimal(10) ** 32
"""More than a column of an amount takes."""


@pytest.mark.parametrize(
    "charge",
    [
        {"model": "per_unit", "unit": HIGHEST},
        {"model": "per_unit", "unit": "200000000000"},
        {"model": "per_unit", "unit": HIGHEST, "maximum": "1"},
        {"model": "graduated", "tiers": [{"up_to": 10, "unit": "1"}, {"up_to": None, "unit": HIGHEST}]},
        {"model": "volume", "tiers": [{"up_to": HIGHEST, "unit": HIGHEST}, {"up_to": None, "unit": HIGHEST}]},
        {"model": "package", "size": "0.000000000001", "price": "1"},
        {"model": "package", "size": 1, "price": HIGHEST},
    ],
)
def test_a_price_that_could_not_be_stored_is_refused_with_its_place(charge: dict[str, Any]) -> None:
    with pytest.raises(
        Invalid, match=r"can be stored: 9223372036854775807 units, .* would cost \d\.\d+e\+\d\d\."
    ) as refused:
        parse_new_tariff(document_of(PER_UNIT, charge))
    assert refused.value.path == ("charges", "1")
    assert parse_tariff(document_of(PER_UNIT, charge)), "one that is set already is read as ever"


def test_charges_add_up() -> None:
    half = {"model": "per_unit", "unit": "60000000000"}
    assert parse_new_tariff(document_of(half))
    with pytest.raises(Invalid) as refused:
        parse_new_tariff(document_of(half, half))
    assert refused.value.path == ("charges", "1")


@pytest.mark.parametrize(
    "charge", [GRADUATED, VOLUME, PER_UNIT, {"model": "flat", "price": HIGHEST}, PER_UNIT | {"unit": "1000000"}]
)
def test_what_anybody_charges_is_taken(charge: dict[str, Any]) -> None:
    assert parse_new_tariff(document_of(charge, minimum=HIGHEST)) == parse_tariff(document_of(charge, minimum=HIGHEST))


def test_units_are_whole() -> None:
    with pytest.raises(Invalid, match="part of a unit") as refused:
        parse_new_tariff(document_of(PER_UNIT | {"free_units": "0.5"}))
    assert refused.value.path == ("charges", "0", "free_units")


@pytest.mark.parametrize("plan", STARTER_PLANS, ids=lambda plan: plan["slug"])
def test_the_starter_catalogue_says_what_is_included_as_free_units(plan: dict[str, Any]) -> None:
    for charge in plan.get("tariff", {}).get("charges", ()):
        assert int(charge["free_units"]) == plan["monthly_quota"]
        assert all(Decimal(tier["unit"]) for tier in charge["tiers"])
        assert tariff_document(parse_new_tariff(plan["tariff"]))["charges"] == [
            {**charge, "minimum": None, "maximum": None}
        ]


@given(tariffs(), st.integers(0, 2**63 - 1) | st.just(2**63 - 1))
def test_no_amount_of_a_tariff_that_is_taken_is_too_large(tariff: Tariff, units: int) -> None:
    try:
        taken = parse_new_tariff(json.loads(json.dumps(tariff_document(tariff))))
    except Invalid:
        return
    lines = rate_usage(taken, {charge.code: Decimal(units) for charge in taken.charges})
    sums = add_up(lines, taken.currency, taken.tax_percent)
    assert units <= MAX_COUNTED
    assert sum(line.amount for line in lines if line.amount > 0) <= MAX_AMOUNT + 10**16
    assert all(abs(amount) < STORED for amount in (*(line.amount for line in lines), sums.tax, sums.total))
