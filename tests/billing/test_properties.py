"""What holds for every tariff and quantity: exact sums, monotone tiers, no order, no context, at any size."""

from dataclasses import replace
from decimal import ROUND_DOWN, Context, Decimal, Inexact, localcontext
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.billing import (
    Charge,
    ChargeModel,
    Line,
    Share,
    Tariff,
    Tier,
    add_up,
    rate_usage,
)
from portal.billing.prorate import WHOLE
from portal.billing.rate import LineKind
from portal.core.money import MINOR_DIGITS
from tests.billing import sample
from tests.billing.sample import D

OWN_LINES = {LineKind.USAGE, LineKind.FEE}
BOUNDS = {LineKind.MINIMUM, LineKind.MAXIMUM}
both_codes = st.fixed_dictionaries({"calls": sample.quantities, "bytes": sample.quantities})


def half_up(exact: Fraction, currency: str) -> Fraction:
    scale: int = 10 ** MINOR_DIGITS.get(currency, 2)
    return Fraction((exact * scale * 2 + 1) // 2, scale)


def graduated(tiers: tuple[Tier, ...], quantity: Decimal) -> Line:
    (line,) = rate_usage(Tariff("EUR", (Charge("calls", ChargeModel.GRADUATED, tiers=tiers),)), {"calls": quantity})
    return line


@given(sample.tariffs(), both_codes, sample.shares)
def test_each_part_is_exact_and_a_line_is_their_sum_rounded_once(
    tariff: Tariff, used: dict[str, Decimal], share: Share
) -> None:
    for line in rate_usage(tariff, used, share):
        for part in line.parts:
            assert Fraction(part.amount) == Fraction(part.quantity) * Fraction(part.unit) + Fraction(part.flat)
        if line.kind in OWN_LINES:
            exact = sum((Fraction(part.amount) for part in line.parts), Fraction(0))
            assert Fraction(line.amount) == half_up(exact, tariff.currency)


@given(sample.tariffs(), both_codes)
def test_the_parts_of_usage_are_all_units_of_it(tariff: Tariff, used: dict[str, Decimal]) -> None:
    for charge, line in zip(tariff.charges, rate_usage(tariff, used), strict=False):
        if charge.model in {ChargeModel.GRADUATED, ChargeModel.VOLUME, ChargeModel.PER_UNIT}:
            assert sum(Fraction(part.quantity) for part in line.parts) == used[charge.code] == line.quantity


@given(sample.tariffs(), both_codes, sample.shares)
def test_the_sum_stays_within_the_tariffs_bounds(tariff: Tariff, used: dict[str, Decimal], share: Share) -> None:
    lines = rate_usage(tariff, used, share)
    part = Fraction(share.days, share.of_days)
    total = sum(Fraction(line.amount) for line in lines)
    if tariff.minimum is not None:
        assert total >= half_up(Fraction(tariff.minimum) * part, tariff.currency)
    if tariff.maximum is not None:
        assert total <= half_up(Fraction(tariff.maximum), tariff.currency)
    assert all(line.amount for line in lines if line.kind in BOUNDS)


@given(sample.tiers(), sample.quantities, sample.quantities)
def test_graduated_never_costs_less_for_more(tiers: tuple[Tier, ...], one: Decimal, other: Decimal) -> None:
    assert graduated(tiers, min(one, other)).amount <= graduated(tiers, max(one, other)).amount


@given(sample.tiers(), sample.quantities)
def test_graduated_tiers_of_one_price_are_that_price_for_each_unit(tiers: tuple[Tier, ...], quantity: Decimal) -> None:
    same = tuple(replace(tier, unit=D("0.07"), flat=D(0)) for tier in tiers)
    assert Fraction(graduated(same, quantity).amount) == half_up(Fraction(quantity) * Fraction("0.07"), "EUR")


@given(sample.tariffs(), both_codes, sample.shares, st.randoms(use_true_random=False))
def test_the_order_of_charges_changes_no_total(
    tariff: Tariff, used: dict[str, Decimal], share: Share, random: Random
) -> None:
    shuffled = list(tariff.charges)
    random.shuffle(shuffled)
    totals = [
        add_up(rate_usage(one, used, share), one.currency, one.tax_percent)
        for one in (tariff, replace(tariff, charges=tuple(shuffled)))
    ]
    assert totals[0] == totals[1]


@given(sample.charges())
def test_using_nothing_costs_flat_fees_only(charge: Charge) -> None:
    line = rate_usage(Tariff("EUR", (charge,)), {})[0]
    flat = charge.tiers[0].flat if charge.tiers else charge.price if charge.model is ChargeModel.FLAT else D(0)
    assert Fraction(line.amount) == half_up(Fraction(flat), "EUR")


@given(sample.sizes, sample.prices, sample.quantities, sample.sizes)
def test_packages_cover_what_was_used_and_one_less_would_not(
    size: Decimal, price: Decimal, quantity: Decimal, free: Decimal
) -> None:
    charge = Charge("calls", ChargeModel.PACKAGE, size=size, price=price, free_units=free)
    packages = rate_usage(Tariff("EUR", (charge,)), {"calls": quantity})[0].parts[-1].quantity
    paid = max(Fraction(0), Fraction(quantity) - Fraction(free))
    assert packages == packages.to_integral_value()
    assert Fraction(packages) * Fraction(size) >= paid
    assert not packages or Fraction(packages - 1) * Fraction(size) < paid


@given(sample.tariffs(), both_codes, sample.shares)
def test_the_callers_context_changes_nothing(tariff: Tariff, used: dict[str, Decimal], share: Share) -> None:
    lines = rate_usage(tariff, used, share)
    totals = add_up(lines, tariff.currency, tariff.tax_percent)
    with localcontext(Context(prec=3, rounding=ROUND_DOWN, traps=[Inexact])):
        assert rate_usage(tariff, used, share) == lines
        assert add_up(lines, tariff.currency, tariff.tax_percent) == totals


@pytest.mark.parametrize("model", [ChargeModel.PER_UNIT, ChargeModel.GRADUATED, ChargeModel.VOLUME])
def test_a_large_quantity_with_a_long_price_is_exact(model: ChargeModel) -> None:
    price, quantity = D("999999999999999.999999999999"), D(10**15) + D("0.000000000001")
    charge = Charge("calls", model, tiers=(Tier(None, price),), unit=price)
    (line,) = rate_usage(Tariff("EUR", (charge,)), {"calls": quantity}, WHOLE)
    assert Fraction(line.parts[0].amount) == Fraction(price) * Fraction(quantity)
    assert Fraction(line.amount) == half_up(Fraction(price) * Fraction(quantity), "EUR")
    tax = add_up([line], "EUR", D(19)).tax
    assert Fraction(tax) == half_up(Fraction(line.amount) * Fraction(19, 100), "EUR")
