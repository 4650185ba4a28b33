"""Tariffs to price with, from the shortest document that says them, and strategies for any."""

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from portal.billing import Charge, ChargeModel, Share, Tariff, Tier, rate_usage, tariff_from

D = Decimal
GRADUATED = {
    "model": "graduated",
    "tiers": [
        {"up_to": 10, "unit": "10", "flat": "2"},
        {"up_to": 20, "unit": "5", "flat": "3"},
        {"up_to": None, "unit": "5", "flat": "3"},
    ],
}
VOLUME = {
    "model": "volume",
    "tiers": [
        {"up_to": 100, "unit": 2, "flat": 10},
        {"up_to": 200, "unit": 1},
        {"up_to": None, "unit": "0.5", "flat": 50},
    ],
}
PER_UNIT = {"model": "per_unit", "unit": "0.05"}


def document_of(*charges: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"currency": "EUR", "charges": [{"code": "calls", **charge} for charge in charges], **fields}


def tariff_of(*charges: dict[str, Any], **fields: Any) -> Tariff:
    return tariff_from(document_of(*charges, **fields))


def amounts_of(tariff: Tariff, quantity: str | int, share: Share | None = None) -> list[Decimal]:
    quantities = {"calls": D(quantity)}
    lines = rate_usage(tariff, quantities) if share is None else rate_usage(tariff, quantities, share)
    return [line.amount for line in lines]


unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""What is tested is arithmetic, not how busy the machine is."""

quantities = st.decimals(0, 10**15, places=12) | st.integers(0, 10**4).map(Decimal)
prices = st.decimals(0, 1000, places=12) | st.integers(0, 100).map(Decimal)
sizes = st.decimals("0.000000000001", 10**6, places=12) | st.integers(1, 1000).map(Decimal)
currencies = st.sampled_from(("EUR", "JPY", "KWD", "CLF"))
shares = st.integers(1, 31).flatmap(lambda of_days: st.integers(0, of_days).map(lambda days: Share(days, of_days)))


@st.composite
def tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    ends = sorted(draw(st.sets(sizes, max_size=4)))
    return tuple(Tier(end, draw(prices), draw(prices)) for end in (*ends, None))


@st.composite
def charges(draw: st.DrawFn) -> Charge:
    model = draw(st.sampled_from([*ChargeModel]))
    bounds = sorted(draw(st.tuples(prices, prices)))
    is_bounded = st.booleans()
    return Charge(
        code=draw(st.sampled_from(("calls", "bytes"))),
        model=model,
        free_units=draw(sizes | st.just(D(0))) if model is not ChargeModel.FLAT else D(0),
        tiers=draw(tiers()) if model in {ChargeModel.GRADUATED, ChargeModel.VOLUME} else (),
        unit=draw(prices) if model is ChargeModel.PER_UNIT else D(0),
        size=draw(sizes) if model is ChargeModel.PACKAGE else D(0),
        price=draw(prices) if model in {ChargeModel.PACKAGE, ChargeModel.FLAT} else D(0),
        minimum=bounds[0] if draw(is_bounded) else None,
        maximum=bounds[1] if draw(is_bounded) else None,
    )


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    bounds = sorted(draw(st.tuples(prices, prices)))
    return Tariff(
        draw(currencies),
        tuple(draw(st.lists(charges(), max_size=4))),
        minimum=draw(st.sampled_from((None, bounds[0]))),
        maximum=draw(st.sampled_from((None, bounds[1]))),
        tax_percent=draw(st.none() | st.decimals(0, 100, places=3)),
    )
