"""What each model charges, by worked figures: tiers, flat fees, packages, free units, fractions of a unit."""

from decimal import Decimal
from typing import Any

import pytest

from portal.billing import LineComponent, part_document, parts_from, rate_usage
from portal.billing.rate import LineKind
from tests.billing.sample import GRADUATED, PER_UNIT, VOLUME, D, amounts_of, tariff_of


@pytest.mark.parametrize(
    ("quantity", "amount"), [(0, 2), (1, 12), (10, 102), (11, 110), (12, 115), (20, 155), (21, 163), ("10.5", "107.5")]
)
def test_graduated_prices_each_unit_by_the_tier_that_it_lies_in(quantity: str, amount: str) -> None:
    assert amounts_of(tariff_of(GRADUATED), quantity) == [D(amount)]


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [(0, 10), (1, 12), (100, 210), ("100.5", "100.5"), (101, 101), (200, 200), (300, 200), ("200.000000000001", 150)],
)
def test_volume_prices_all_units_by_the_tier_that_the_last_lies_in(quantity: str, amount: str) -> None:
    assert amounts_of(tariff_of(VOLUME), quantity) == [D(amount)]


@pytest.mark.parametrize(
    ("size", "price", "free", "quantity", "amount"),
    [
        (10, 100, 0, 121, 1300),
        (10, 100, 10, 121, 1200),
        (10, 100, 200, 121, 0),
        (100, 5, 100, 201, 10),
        (100, 5, 100, 100, 0),
        (100, 5, 100, 200, 5),
        (100, 5, 100, "200.000000000001", 10),
        (3, 1, 0, 10**15 - 1, (10**15 - 1) // 3),
        (3, 1, 0, 10**15, 10**15 // 3 + 1),
    ],
)
def test_a_package_that_is_begun_is_paid(size: int, price: int, free: int, quantity: str, amount: str) -> None:
    tariff = tariff_of({"model": "package", "size": size, "price": price, "free_units": free})
    assert amounts_of(tariff, quantity) == [D(amount)]


@pytest.mark.parametrize(
    ("free", "quantity", "amount"),
    [(0, 0, 0), (0, 7, "0.35"), (5, 7, "0.10"), (5, 5, 0), (5, 3, 0), ("0.5", 1, "0.03")],
)
def test_per_unit_is_a_multiplication_rounded_half_up(free: str, quantity: int, amount: str) -> None:
    assert amounts_of(tariff_of(PER_UNIT | {"free_units": free}), quantity) == [D(amount)]


@pytest.mark.parametrize("quantity", [0, 1, 10**15])
def test_flat_costs_the_same_whatever_was_used(quantity: int) -> None:
    tariff = tariff_of({"model": "flat", "price": "49"})
    (line,) = rate_usage(tariff, {"calls": D(quantity)})
    assert (line.kind, line.quantity, line.amount) == (LineKind.FEE, None, D(49))
    assert line.description == "calls, flat"


@pytest.mark.parametrize(
    ("charge", "quantity", "parts"),
    [
        (GRADUATED, 11, [(10, 10, 2, 102), (1, 5, 3, 8)]),
        (GRADUATED, 0, [(0, 10, 2, 2)]),
        (GRADUATED | {"free_units": 4}, 11, [(4, 0, 0, 0), (7, 10, 2, 72)]),
        (GRADUATED | {"free_units": 4}, 3, [(3, 0, 0, 0), (0, 10, 2, 2)]),
        (VOLUME, 300, [(300, "0.5", 50, 200)]),
        (VOLUME | {"free_units": 150}, 300, [(150, 0, 0, 0), (150, 1, 0, 150)]),
        (PER_UNIT | {"unit": "0.003", "free_units": 2}, 3, [(2, 0, 0, 0), (1, "0.003", 0, "0.003")]),
        ({"model": "package", "size": 100, "price": 5, "free_units": 100}, 201, [(100, 0, 0, 0), (2, 5, 0, 10)]),
        ({"model": "package", "size": 100, "price": 5}, 0, [(0, 5, 0, 0)]),
        ({"model": "flat", "price": 5}, 7, [(0, 0, 5, 5)]),
    ],
)
def test_parts_explain_the_amount(charge: dict[str, Any], quantity: int, parts: list[Any]) -> None:
    (line,) = rate_usage(tariff_of(charge), {"calls": Decimal(quantity)})
    assert line.parts == tuple(LineComponent(*map(Decimal, part)) for part in parts)


def test_parts_are_read_back_as_they_were_stored() -> None:
    parts = [LineComponent(D("1000"), D("0.002"), D(1), D(3)), LineComponent(D(5), D(0), D(0), D(0))]
    assert parts_from([part_document(part) for part in parts]) == parts
