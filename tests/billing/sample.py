"""Tariffs to price with, from the shortest document that says them, and strategies for any."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from portal.billing import Charge, ChargeModel, Share, Tariff, Tier, parse_tariff, rate_usage

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
    return parse_tariff(document_of(*charges, **fields))


def amounts_of(tariff: Tariff, quantity: str | int, share: Share | None = None) -> list[Decimal]:
    quantities = {"calls": D(quantity)}
    lines = rate_usage(tariff, quantities) if share is None else rate_usage(tariff, quantities, share)
    return [line.amount for line in lines]


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


def sloppy_documents() -> st.SearchStrategy[Any]:
    """Documents of tariffs, valid ones and ones with a mistake or several anywhere."""
    good = st.sampled_from(("0", "1", "0.05", "12.50", "-0", 0, 5, 100, "999999999999999", "0.000000000001"))
    numbers = st.one_of(
        *[good] * 9, st.text(max_size=3), st.sampled_from((None, 0.5, True, -1, "1e3", "1_0", "\uff11"))
    )
    no_charges: list[Any] = [None, 7, "x", [], {}, {"code": "calls"}]
    entries = st.sampled_from(no_charges)
    ends = st.lists(st.integers(0, 9) | numbers, max_size=3)
    tier_lists = ends.map(lambda some: [{"up_to": end, "unit": "1"} for end in (*some, None)]) | st.lists(entries)
    prices = {"unit": numbers, "tiers": tier_lists, "size": numbers, "price": numbers}
    bounds = {"minimum": numbers, "maximum": numbers}
    own = {"per_unit": ("unit",), "graduated": ("tiers",), "volume": ("tiers",), "package": ("size", "price")}
    own |= {"flat": ("price",)}

    def charges_of(model: str) -> st.SearchStrategy[Any]:
        code = st.sampled_from(("calls", "calls", "calls", "my calls", None))
        of_model = {name: prices[name] for name in own[model]}
        others = st.dictionaries(st.sampled_from((*prices, "unitt")), numbers, max_size=1)
        right = st.fixed_dictionaries({"code": code, "model": st.just(model), **of_model}, optional=bounds)
        return st.one_of(right, right, st.tuples(others, right).map(lambda both: both[0] | both[1]))

    charge = st.sampled_from([*own]).flatmap(charges_of)
    return st.fixed_dictionaries(
        {"currency": st.sampled_from(("EUR", "JPY", "eur")), "charges": st.lists(st.one_of(charge, charge, entries))},
        optional={**bounds, "tax_percent": numbers},
    )
