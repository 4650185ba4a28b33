"""What holds for invoices of any history: none is negative, nothing is lost or billed twice."""

import json
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.billing import first_model
from portal.billing.inputs import build_lines, inputs_from
from portal.billing.invoice_lines import InvoiceLineDraft, rows_of, totals
from portal.billing.rate import LineKind
from portal.billing.second_model import (
    CarriedOver,
    InvoiceInputs,
    LateUsage,
    carried_over,
    invoice_inputs,
    usage_by_stretch,
)
from portal.billing.tariff import Tariff, tariff_document
from portal.plans import (
    ChangeKind,
    PeriodHistory,
    PlanChange,
    PlanTerms,
    first_period,
    month_period,
    next_period,
    stretches_of,
)
from tests.billing import sample
from tests.billing.second_model import later

ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Sao_Paulo")
quick = settings(max_examples=25)
amounts = st.decimals(0, 1000, places=2) | st.sampled_from((Decimal(0), Decimal(49), Decimal("0.005")))
units = st.integers(0, 10**9) | st.integers(0, 30)


@st.composite
def catalogues(draw: st.DrawFn) -> list[PlanTerms]:
    def documented(tariff: Tariff) -> dict[str, Any]:
        return tariff_document(tariff) | {"currency": "EUR"}

    nothing: dict[str, Any] = {}
    tariffs = st.just(nothing) | sample.tariffs().map(documented)
    return [
        PlanTerms(f"plan_{rank}", 1, rank, f"P{rank}", draw(amounts), "EUR", None, True, draw(tariffs))
        for rank in range(1, 4)
    ]


@st.composite
def histories(draw: st.DrawFn, plans: list[PlanTerms] | None = None) -> PeriodHistory:
    """Any plan of the month's start, then changes at any instants, those that give back included."""
    plans = plans or draw(catalogues())
    period = month_period(draw(st.sampled_from(("2026-02", "2026-03", "2026-11"))), draw(st.sampled_from(ZONES)))
    history = PeriodHistory(period, draw(st.none() | st.sampled_from(plans)))
    length = int((period.end - period.start).total_seconds())
    for second in sorted(draw(st.sets(st.integers(0, length - 1), min_size=1, max_size=5))):
        at, state = period.start + timedelta(seconds=second), history.state
        terms = draw(st.sampled_from(plans))
        if not state.holdings:
            kind = ChangeKind.OPENING
        elif state.before_upgrade is not None and not state.is_undo_used and draw(st.booleans()):
            kind = ChangeKind.UNDO
        elif terms.rank == state.terms.rank:
            continue
        elif terms.rank > state.terms.rank:
            kind = ChangeKind.UPGRADE
        else:
            kind = draw(st.sampled_from((ChangeKind.DOWNGRADE, ChangeKind.MOVE_DOWN)))
        effect = period.end if kind is ChangeKind.DOWNGRADE else at
        history = history.with_change(PlanChange(at, kind, terms, 0, effect))
    return history


@st.composite
def invoices(draw: st.DrawFn) -> InvoiceInputs:
    """Inputs with late units of an earlier month and something left over of it."""
    plans = draw(catalogues())
    before, history = draw(histories(plans)), draw(histories(plans))

    def used(of: PeriodHistory) -> list[int]:
        count = len(stretches_of(of))
        return draw(st.lists(units, min_size=count, max_size=count))

    late = [later(stretch, draw(units)) for stretch in usage_by_stretch(before, used(before)) if draw(st.booleans())]
    carried = [
        CarriedOver("2026-01", "plan_1", percent, -draw(amounts))
        for percent in draw(st.sets(st.sampled_from((None, Decimal(20), Decimal(7)))))
    ]
    return invoice_inputs(history, next_period(history.period, "UTC"), used(history), late, carried)


def rates(drafts: list[InvoiceLineDraft]) -> dict[Decimal, Fraction]:
    """Return the sum of the lines of each rate of tax, without what is carried over."""
    sums: dict[Decimal, Fraction] = {}
    for draft in drafts:
        if draft.line.code != "carried_over":
            percent = draft.tax_percent or Decimal(0)
            sums[percent] = sums.get(percent, Fraction(0)) + Fraction(draft.line.amount)
    return {percent: amount for percent, amount in sums.items() if amount}


@quick
@given(invoices())
def test_no_invoice_is_negative_and_what_is_carried_over_is_all_that_it_was(inputs: InvoiceInputs) -> None:
    drafts = build_lines(inputs)
    sums = totals("EUR", drafts)
    assert sums.subtotal >= 0
    assert sums.total >= 0
    left = {over.tax_percent or Decimal(0): Fraction(over.amount) for over in carried_over(drafts)}
    if left:
        assert not sums.subtotal
        assert not sums.tax
        assert left == rates(drafts), "each rate of tax by itself, to the last cent"


@quick
@given(invoices())
def test_inputs_survive_json_with_their_digest_and_lines(inputs: InvoiceInputs) -> None:
    stored = json.loads(json.dumps(inputs.to_json()))
    again = inputs_from(stored)
    assert again == inputs
    assert again.digest == inputs.digest
    assert build_lines(again) == build_lines(inputs)
    assert stored["model"] == 2
    assert rows_of(build_lines(again), "acct_1", "inv_1") == rows_of(build_lines(inputs), "acct_1", "inv_1")


@quick
@given(invoices())
def test_a_process_that_knows_the_first_model_only_reads_who_used_what(inputs: InvoiceInputs) -> None:
    read = first_model.inputs_from(json.loads(json.dumps(inputs.to_json())))
    assert [(metered.plan_id, metered.units) for metered in read.usage] == [(s.plan_id, s.units) for s in inputs.usage]
    assert len(read.fees) == len(inputs.fees)


@quick
@given(invoices())
def test_lines_bill_each_unit_of_each_stretch_once(inputs: InvoiceInputs) -> None:
    """As the audit counts them: charges of one stretch bill the same units."""
    billed: dict[tuple[str, int | None], Decimal] = {}
    for draft in build_lines(inputs):
        if draft.line.kind is LineKind.USAGE and draft.line.quantity is not None:
            assert billed.setdefault((draft.plan_id, draft.version), draft.line.quantity) == draft.line.quantity
    assert sum(billed.values()) == sum(stretch.units for stretch in inputs.usage)


@quick
@given(histories(), st.lists(units, min_size=1, max_size=5), st.data())
def test_adjustments_of_a_stretch_add_up_however_often_it_is_told_late(
    history: PeriodHistory, steps: list[int], data: st.DataObject
) -> None:
    stretches = stretches_of(history)
    if not stretches:
        return
    place = data.draw(st.integers(0, len(stretches) - 1))
    first = usage_by_stretch(history, [steps[0]] * len(stretches))[place]

    def adjustment(late: LateUsage) -> Decimal:
        inputs = invoice_inputs(history, next_period(history.period, "UTC"), [0] * len(stretches), [late])
        (line,) = [d.line for d in build_lines(inputs) if d.line.kind is LineKind.ADJUSTMENT and d.line.code == "units"]
        return line.amount

    adjusted = [adjustment(later(first, now, before)) for before, now in pairwise(steps)]
    assert sum(adjusted) == adjustment(later(first, steps[-1], steps[0]))


@quick
@given(catalogues(), units, st.lists(st.integers(1, 27), min_size=1, max_size=6, unique=True))
def test_choosing_and_undoing_and_staying_split_no_month(plans: list[PlanTerms], used: int, days: list[int]) -> None:
    """One plan all month is one stretch, however often it was put down and withdrawn in it, or left and undone."""
    low, high, _ = plans
    period = first_period(month_period("2026-11", "UTC").start, "UTC")
    plain = PeriodHistory(period, low)
    split = plain
    for place, day in enumerate(sorted(days)):
        at = period.start_of(day) + timedelta(hours=3)
        kind = ChangeKind.UPGRADE if place == 0 else ChangeKind.DOWNGRADE
        back = ChangeKind.UNDO if place == 0 else ChangeKind.WITHDRAWAL
        effect = at if place == 0 else period.end
        split = split.with_change(PlanChange(at, kind, high, 0, effect))
        split = split.with_change(PlanChange(at + timedelta(hours=1), back, low, 0, at + timedelta(hours=1)))
    following = next_period(period, "UTC")
    assert invoice_inputs(split, following, [used]) == invoice_inputs(plain, following, [used])


@quick
@given(sample.prices, st.lists(st.integers(0, 10**6), min_size=2, max_size=3))
def test_where_nothing_is_divided_a_split_in_time_makes_no_difference(price: Decimal, used: list[int]) -> None:
    """Twin plans without a fee and with one price a unit: only each line's rounding may differ."""
    tariff = {"currency": "EUR", "charges": [{"code": "units", "model": "per_unit", "unit": f"{price:f}"}]}
    twins = [PlanTerms(f"plan_{n}", 1, n, f"P{n}", Decimal(0), "EUR", None, True, tariff) for n in range(len(used))]
    period = month_period("2026-11", "UTC")
    history = PeriodHistory(period, twins[0])
    for number, terms in enumerate(twins[1:], start=1):
        at = period.start_of(9 * number)
        history = history.with_change(PlanChange(at, ChangeKind.UPGRADE, terms, 0, at))
    following = next_period(period, "UTC")
    split = totals("EUR", build_lines(invoice_inputs(history, following, used)))
    whole = totals("EUR", build_lines(invoice_inputs(PeriodHistory(period, twins[0]), following, [sum(used)])))
    assert abs(split.total - whole.total) <= Decimal("0.005") * (len(used) + 1)
