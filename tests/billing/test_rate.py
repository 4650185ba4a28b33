"""Lines of a tariff: one for each charge, then minimum and maximum spend, then tax on what was rounded."""

from decimal import Decimal
from typing import Any

import pytest

from portal.billing import Share, add_up, rate_usage
from portal.billing.rate import LineKind
from portal.core.errors import Invalid
from tests.billing.sample import GRADUATED, PER_UNIT, D, amounts_of, tariff_of

UNIT = {"model": "per_unit", "unit": 1}


def test_charges_of_one_code_are_all_paid_and_a_code_without_quantity_used_nothing() -> None:
    package = {"model": "package", "size": 100, "price": "10", "free_units": 10}
    tariff = tariff_of(GRADUATED, package, UNIT | {"code": "bytes"})
    lines = rate_usage(tariff, {"calls": D(111), "other": D(7)})
    assert [(line.kind, line.code, line.quantity, line.amount) for line in lines] == [
        (LineKind.USAGE, "calls", D(111), D(102 + 53 + 458)),
        (LineKind.USAGE, "calls", D(111), D(20)),
        (LineKind.USAGE, "bytes", D(0), D(0)),
    ]
    assert [line.description for line in lines] == [
        "calls, in graduated tiers",
        "calls, in packages of 100",
        "bytes, by the unit",
    ]


@pytest.mark.parametrize(("currency", "amount"), [("EUR", "0.01"), ("JPY", "0"), ("KWD", "0.005"), ("CLF", "0.0050")])
def test_a_line_is_rounded_half_up_to_minor_units(currency: str, amount: str) -> None:
    (line,) = rate_usage(tariff_of(PER_UNIT, currency=currency), {"calls": D("0.1")})
    assert str(line.amount) == amount


def test_the_minimum_spend_is_topped_up_for_the_days_that_were_covered() -> None:
    tariff = tariff_of(UNIT, minimum=1000, currency="JPY")
    line = rate_usage(tariff, {"calls": D(800)}, Share(25, 28))[-1]
    assert (line.kind, line.code, line.quantity, line.amount, line.parts) == (LineKind.MINIMUM, "", None, D(93), ())
    assert line.description == "Minimum spend 1000, 25 of 28 days"
    assert amounts_of(tariff, 800) == [800, 200]
    assert amounts_of(tariff, 1000) == [1000]
    assert amounts_of(tariff_of(UNIT, minimum=1000), 800, Share(25, 28)) == [800, D("92.86")]


def test_the_maximum_spend_takes_off_what_is_above_it() -> None:
    tariff = tariff_of(UNIT, maximum="1000", currency="JPY")
    line = rate_usage(tariff, {"calls": D(1200)})[-1]
    assert (line.kind, line.amount, line.description) == (LineKind.MAXIMUM, D(-200), "Maximum spend 1000")
    assert amounts_of(tariff, 1000) == [1000]
    assert amounts_of(tariff, 1200, Share(1, 28)) == [1200, -200], "it is never divided"


@pytest.mark.parametrize(("maximum", "bound"), [("10.005", "10.01"), ("10.0049", "10.00"), ("0.004", "0.00")])
def test_a_maximum_is_rounded_before_it_bounds(maximum: str, bound: str) -> None:
    """As every amount is: half-up."""
    assert sum(amounts_of(tariff_of(UNIT, maximum=maximum), 200)) == D(bound)
    assert sum(amounts_of(tariff_of(UNIT | {"maximum": maximum}), 200)) == D(bound)


def test_a_charge_has_bounds_of_its_own_and_the_tariffs_look_at_what_they_leave() -> None:
    cheap = UNIT | {"minimum": 50}
    dear = UNIT | {"code": "bytes", "maximum": 100}
    tariff = tariff_of(cheap, dear, minimum=500)
    lines = rate_usage(tariff, {"calls": D(10), "bytes": D(300)})
    assert [(line.kind, line.code, line.amount) for line in lines] == [
        (LineKind.USAGE, "calls", D(10)),
        (LineKind.USAGE, "bytes", D(300)),
        (LineKind.MINIMUM, "calls", D(40)),
        (LineKind.MAXIMUM, "bytes", D(-200)),
        (LineKind.MINIMUM, "", D(350)),
    ]


def test_days_divide_flat_charges_and_the_minimum_but_never_tiers() -> None:
    tariff = tariff_of({"model": "flat", "price": 1000}, GRADUATED, currency="JPY")
    lines = rate_usage(tariff, {"calls": D(10)}, Share(6, 31))
    assert [line.amount for line in lines] == [194, 102]
    assert lines[0].description == "calls, flat, 6 of 31 days"


@pytest.mark.parametrize(
    ("charge", "quantity", "days", "of_days", "amount", "words"),
    [
        (
            UNIT | {"free_units": 1_000_000},
            400_000,
            12,
            31,
            "12903",
            "calls, by the unit, 12 of 31 days, 387,097 included",
        ),
        (UNIT | {"free_units": 10}, 12, 10, 30, "8", "calls, by the unit, 10 of 30 days, 4 included"),
        (UNIT | {"free_units": 1}, 1, 1, 31, "0", "calls, by the unit, 1 of 31 days, 1 included"),
        (UNIT | {"free_units": 5}, 7, 0, 31, "7", "calls, by the unit, 0 of 31 days, 0 included"),
        (UNIT, 7, 1, 31, "7", "calls, by the unit"),
        (GRADUATED, 21, 1, 30, "163", "calls, in graduated tiers"),
        (GRADUATED | {"free_units": 30}, 22, 1, 30, "163", "calls, in graduated tiers, 1 of 30 days, 1 included"),
        ({"model": "package", "size": 100, "price": "5", "free_units": 60}, 103, 1, 30, "10", None),
    ],
)
def test_days_divide_what_is_included_and_say_so(
    charge: dict[str, Any], quantity: int, days: int, of_days: int, amount: str, words: str | None
) -> None:
    """What is left after that is priced as if it were all."""
    (line,) = rate_usage(tariff_of(charge), {"calls": D(quantity)}, Share(days, of_days))
    assert line.amount == D(amount)
    assert words is None or line.description == words


def test_the_tax_is_computed_on_rounded_lines_once() -> None:
    lines = rate_usage(tariff_of({"model": "flat", "price": 1000}, currency="JPY"), {}, Share(6, 31))
    totals = add_up(lines, "JPY", D(20))
    assert (totals.subtotal, totals.tax, totals.total) == (D(194), D(39), D(233))
    thrice = rate_usage(tariff_of(*[PER_UNIT | {"unit": "0.024"}] * 3), {"calls": D(1)})
    assert add_up(thrice, "EUR", D(25)).tax == D("0.02")  # of 0.06; a tax of each line would be 0.03


def test_nothing_costs_nothing() -> None:
    totals = add_up(rate_usage(tariff_of(), {}), "EUR", None)
    assert [str(amount) for amount in (totals.subtotal, totals.tax, totals.total)] == ["0.00"] * 3


@pytest.mark.parametrize(
    ("quantity", "told"),
    [
        ("-1", "0 or more"),
        ("NaN", "0 or more"),
        ("sNaN", "0 or more"),
        ("Infinity", "0 or more"),
        ("1e30", "too many digits"),
        ("0.0000000000001", "too many digits"),
    ],
)
def test_a_quantity_that_cannot_be_priced_exactly_is_refused(quantity: str, told: str) -> None:
    with pytest.raises(Invalid, match=told) as refused:
        rate_usage(tariff_of(PER_UNIT), {"calls": Decimal(quantity)})
    assert refused.value.path == ("quantities", "calls")
    assert rate_usage(tariff_of(PER_UNIT), {"other": Decimal(quantity)})[0].amount == 0
