"""All that an invoice of the second model depends on: what was held, used, told late and left over.

Its JSON is kept with the invoice, and has `model`: 2. What the first model's inputs have too, stands under the same
names, so that a process of a version that knows that model only still reads who used how much on which plan.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from portal import plans
from portal.billing.parse_tariff import parse_tariff_or_none
from portal.billing.prorate import Share
from portal.plans import AccountPeriod, ChangeKind, Holding, PeriodHistory, PlanTerms

AHEAD = "ahead"


class PlanFee(msgspec.Struct, frozen=True):
    """A fee ahead, or that of a change: (`price` - `charged_price`) x `days` / `of_days`, for `first` to `last`.

    `kind` is "ahead" or the change's. `charged_price` is the dearest that had been charged for these days.
    """

    period: str
    plan_id: str
    plan: str
    price: Decimal
    tax_percent: Decimal | None
    first: date
    last: date
    of_days: int
    is_credit: bool
    version: int
    kind: str
    charged_price: Decimal
    days: int


class StretchUsage(msgspec.Struct, frozen=True):
    """Units of all days of a period on one version of a plan. `spans` are these days as half-open instants."""

    period: str
    plan_id: str
    plan: str
    tariff: dict[str, Any]
    units: int
    days: int
    of_days: int
    version: int
    time_zone: str
    spans: list[tuple[datetime, datetime]]

    @property
    def share(self) -> Share:
        return Share(self.days, self.of_days)


class LateUsage(msgspec.Struct, frozen=True):
    """Units of a stretch that was invoiced with `billed` of them, adjustments included: `metered` has those of now.

    `model`: the one by which the period was invoiced, which still prices it.
    """

    metered: StretchUsage
    billed: int
    model: int = 2


class CarriedOver(msgspec.Struct, frozen=True):
    """What the invoice of `period` left over of one rate of tax: below 0 it is the account's."""

    period: str
    plan_id: str
    tax_percent: Decimal | None
    amount: Decimal


class InvoiceInputs(msgspec.Struct, frozen=True):
    """Everything that an invoice depends on. `start` and `end` are those of the period, which are never derived."""

    period: str
    time_zone: str
    currency: str
    fees: list[PlanFee]
    usage: list[StretchUsage]
    late: list[LateUsage]
    start: datetime
    end: datetime
    carried: list[CarriedOver] = []
    model: int = 2

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).digest()


def invoice_inputs(
    history: PeriodHistory,
    following: AccountPeriod,
    units: Sequence[int],
    late: Sequence[LateUsage] = (),
    carried: Sequence[CarriedOver] = (),
    currency: str | None = None,
) -> InvoiceInputs:
    """Return the inputs of a period's invoice. `units` are those of each of its stretches, in their order.

    `following` is the next period, whose fee is due with its first instant. `currency` is the account's, which it has
    from its first plan with a fee or a tariff; None: what costs something on this invoice says it.
    """
    period = history.period
    return InvoiceInputs(
        period=period.name,
        time_zone=period.time_zone,
        currency=currency or _currency(history, late),
        fees=[*_change_fees(history), *_fee_ahead(history.next_terms, following)],
        usage=usage_by_stretch(history, units),
        late=[*late],
        start=period.start,
        end=period.end,
        carried=[*carried],
    )


def usage_by_stretch(history: PeriodHistory, units: Sequence[int]) -> list[StretchUsage]:
    """Return the stretches of a period with the units of each, in their order."""
    period = history.period
    return [
        StretchUsage(
            period=period.name,
            plan_id=stretch.terms.plan_id,
            plan=stretch.terms.name,
            tariff=stretch.terms.tariff,
            units=used,
            days=len(stretch.days),
            of_days=len(period.days),
            version=stretch.terms.version,
            time_zone=period.time_zone,
            spans=[*stretch.spans],
        )
        for stretch, used in zip(plans.stretches_of(history), units, strict=True)
    ]


def _currency(history: PeriodHistory, late: Iterable[LateUsage]) -> str:
    """Return the currency of what costs anything, since plans that cost nothing may have any."""
    held = [*(holding.terms for holding in history.state.holdings), history.next_terms]
    costly = [terms.currency for terms in held if terms.price or terms.tariff]
    told_late = [adjusted.metered.tariff["currency"] for adjusted in late if adjusted.metered.tariff]
    return str([held[-1].currency, *told_late, *costly][-1])


def _change_fees(history: PeriodHistory) -> list[PlanFee]:
    """Return the fees of a period's changes. What is given back has the tax of the plan that it was charged for."""
    fees = []
    for fee in plans.change_fees(history):
        is_credit = fee.holding.kind is ChangeKind.MOVE_DOWN
        taxed = _charged_for(history, fee.holding) if is_credit else fee.holding
        fees.append(
            PlanFee(
                period=history.period.name,
                plan_id=fee.holding.terms.plan_id,
                plan=fee.holding.terms.name,
                price=fee.price,
                tax_percent=_tax_percent(taxed.terms),
                first=fee.first,
                last=fee.last,
                of_days=fee.of_days,
                is_credit=is_credit,
                version=fee.holding.terms.version,
                kind=str(fee.holding.kind),
                charged_price=fee.charged_price,
                days=fee.days,
            )
        )
    return fees


def _charged_for(history: PeriodHistory, moved_down: Holding) -> Holding:
    """Return the plan that the dearest price was charged for, when an account was moved down."""
    dearest, *later = history.state.holdings
    price = dearest.terms.price
    for holding in later:
        if holding == moved_down:
            break
        if holding.kind is ChangeKind.MOVE_DOWN:
            price = min(price, holding.terms.price)
        elif holding.terms.price > price:
            dearest, price = holding, holding.terms.price
    return dearest


def _fee_ahead(terms: PlanTerms, period: AccountPeriod) -> list[PlanFee]:
    if not terms.price:
        return []
    days = period.days
    return [
        PlanFee(
            period=period.name,
            plan_id=terms.plan_id,
            plan=terms.name,
            price=terms.price,
            tax_percent=_tax_percent(terms),
            first=days[0],
            last=days[-1],
            of_days=len(days),
            is_credit=False,
            version=terms.version,
            kind=AHEAD,
            charged_price=Decimal(0),
            days=len(days),
        )
    ]


def _tax_percent(terms: PlanTerms) -> Decimal | None:
    tariff = parse_tariff_or_none(terms.tariff)
    return None if tariff is None else tariff.tax_percent
