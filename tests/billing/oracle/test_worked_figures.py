"""The slow calculation gives every figure of the design's two tables."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.billing.oracle.course import Course
from tests.billing.oracle.invoices import Invoice, invoices_of
from tests.billing.oracle.model import (
    Choice,
    History,
    Request,
    StaffMove,
    Undo,
    Usage,
    Version,
    ZoneChoice,
)
from tests.billing.oracle.money import groups_by_rate, spread, taxes
from tests.billing.oracle.periods import first_period, next_period
from tests.billing.oracle.tariff import Tariff, price_of, read_tariff, share_of, usage_lines

MILLION = 1_000_000


def tariff(*charges: dict[str, Any], **others: str) -> Tariff:
    return read_tariff({"currency": "EUR", "charges": [{"code": "calls", **charge} for charge in charges], **others})


def tiers(model: str, *steps: tuple[int | None, str, str], free_units: int = 0) -> Tariff:
    rows = [{"up_to": up_to, "unit": unit, "flat": flat} for up_to, unit, flat in steps]
    return tariff({"model": model, "tiers": rows, "free_units": free_units})


def plan(name: str, rank: int, price: str | None, quota: int | None = None, prices: Tariff | None = None) -> Version:
    return Version(name, 1, rank, None if price is None else Fraction(price), quota, prices)


FREE = plan("free", 1, "0", 10_000)
PRO = plan(
    "pro",
    2,
    "49",
    None,
    tiers("graduated", (9 * MILLION, "0.00006", "0"), (None, "0.00004", "0"), free_units=MILLION),
)
ENTERPRISE = plan(
    "enterprise", 3, "990", None, tariff({"model": "per_unit", "unit": "0.000018", "free_units": 50 * MILLION})
)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def used(text: str, units: int, told: str | None = None) -> Usage:
    return Usage(at(text), units, at(told or text))


MONTHS = ["2026-10-01", "2026-11-01", "2026-12-01", "2027-01-01", "2027-02-01", "2027-03-01", "2027-04-01"]


def account(
    opening: Version, *requests: Request, opened: str = "2026-11-01", usage: tuple[Usage, ...] = (), invoices: int = 1
) -> History:
    """Return a history in UTC whose periods are finalized one hour after their end."""
    first = MONTHS.index(opened[:8] + "01")
    ends = tuple(at(month) + timedelta(hours=1) for month in MONTHS[first + 1 : first + 1 + invoices])
    return History(at(opened), "UTC", opening, requests, usage, ends)


def amounts(invoice: Invoice, kind: str) -> list[tuple[str, int]]:
    return [(line.plan, line.amount) for line in invoice.lines if line.kind == kind]


GRADUATED = tiers("graduated", (10, "10", "2"), (20, "5", "3"), (None, "5", "3"))
VOLUME = tiers("volume", (100, "2", "10"), (200, "1", "0"), (None, "0.5", "50"))


@pytest.mark.parametrize(
    ("prices", "units", "amount"),
    [
        *((GRADUATED, Fraction(q), a) for q, a in [(0, 2), (1, 12), (10, 102), (11, 110), (12, 115), (21, 163)]),
        *(
            (VOLUME, Fraction(q), Fraction(a))
            for q, a in [("0", "10"), ("1", "12"), ("100", "210"), ("100.5", "100.5"), ("101", "101"), ("200", "200")]
        ),
        (VOLUME, Fraction(300), 200),
        *(
            (tariff({"model": "package", "size": 10, "price": "100", "free_units": free}), Fraction(121), a)
            for free, a in [(0, 1300), (10, 1200), (200, 0)]
        ),
        (tariff({"model": "package", "size": 100, "price": "5", "free_units": 100}), Fraction(201), 10),
    ],
)
def test_price_of_a_whole_period(prices: Tariff, units: Fraction, amount: Fraction) -> None:
    assert price_of(prices, units, 30, 30) == amount * 100


def test_fee_of_six_days_with_tax() -> None:
    taxed = plan("p", 1, "10", None, tariff(tax_percent="20"))
    (invoice,) = invoices_of(account(taxed, opened="2026-10-26"))
    assert amounts(invoice, "upgrade") == [("p", 194)]
    assert taxes({Fraction(20): 194}) == {20: 39}


def test_minimum_of_25_days_is_filled_up() -> None:
    prices = tariff({"model": "per_unit", "unit": "0.01"}, minimum="10")
    assert [(line.code, line.amount) for line in usage_lines(prices, 800, 25, 28)] == [("calls", 800), ("minimum", 93)]


def test_coupon_over_fees_of_three_rates() -> None:
    nets, rates = [10_000, 5_000, 3_000, 2_000], [Fraction(rate) for rate in (10, 0, 20, 20)]
    discounts = spread(1_000, nets)
    assert discounts == [500, 250, 150, 100]
    groups = groups_by_rate((rate, net - less) for rate, net, less in zip(rates, nets, discounts, strict=True))
    assert taxes(groups) == {0: 0, 10: 950, 20: 570 + 380}
    assert sum(groups.values()) + sum(taxes(groups).values()) == 20_900


@pytest.mark.parametrize(("days", "amount"), [(30, 94_000), (10, 96_667), (1, 97_867)])
def test_pro_by_days(days: int, amount: int) -> None:
    assert price_of(PRO.tariff, 20 * MILLION, days, 30) == amount


def test_upgrade_on_20_november() -> None:
    history = account(PRO, Choice(at("2026-11-20T10:00"), ENTERPRISE))
    (invoice,) = invoices_of(history)
    assert amounts(invoice, "upgrade") == [("pro", 4900), ("enterprise", 34_503)]
    assert Course(history).months[0].stretches() == {PRO: 19, ENTERPRISE: 11}
    assert (share_of(MILLION, 19, 30), share_of(50 * MILLION, 11, 30)) == (633_334, 18_333_334)


def test_up_and_back_on_one_day() -> None:
    up, back = Choice(at("2026-11-20T10:00"), ENTERPRISE), Undo(at("2026-11-20T11:00"))
    again = Choice(at("2026-11-20T12:00"), ENTERPRISE), Undo(at("2026-11-20T13:00"))
    (invoice,) = invoices_of(account(PRO, up, back))
    assert amounts(invoice, "upgrade") == [("pro", 4900)]
    course = Course(account(PRO, up, back, *again))
    assert [decision.outcome for decision in course.decisions] == ["upgrade", "undo", "upgrade", "downgrade"]
    assert course.months[1].begins_with == PRO


@pytest.mark.parametrize("is_put_down", [False, True])
def test_free_to_enterprise_on_the_last_day(is_put_down: bool) -> None:
    requests: list[Request] = [Choice(at("2026-11-30T08:00"), ENTERPRISE)]
    if is_put_down:
        requests += [Undo(at("2026-11-30T22:00"))]
    history = account(FREE, *requests, usage=(used("2026-11-30T09:00", 2 * MILLION),))
    (invoice,) = invoices_of(history)
    assert amounts(invoice, "upgrade") == [("enterprise", 3300)]
    assert amounts(invoice, "usage") == [("enterprise", 600)]
    assert share_of(50 * MILLION, 1, 30) == 1_666_667
    assert amounts(invoice, "fee") == ([] if is_put_down else [("enterprise", 99_000)])
    assert [decision.outcome for decision in Course(history).decisions][1:] == ["downgrade"] * is_put_down


def test_twenty_million_on_the_last_day_are_not_undone() -> None:
    up, back = Choice(at("2026-11-30T00:01"), ENTERPRISE), Undo(at("2026-11-30T23:59"))
    history = account(FREE, up, back, usage=(used("2026-11-30T12:00", 20 * MILLION),))
    (invoice,) = invoices_of(history)
    assert amounts(invoice, "upgrade") == [("enterprise", 3300)]
    assert amounts(invoice, "usage") == [("enterprise", 33_000)]
    assert Course(history).months[1].begins_with == FREE


def test_hard_quota_bought_on_the_30th() -> None:
    hard = plan("hard", 2, "30", 10 * MILLION)
    history = account(FREE, Choice(at("2026-11-30T08:00"), hard), usage=(used("2026-11-03", 4_000),))
    assert amounts(invoices_of(history)[0], "upgrade") == [("hard", 100)]
    course = Course(history)
    assert course.bound_at(at("2026-11-30T07:59")) == 10_000
    assert course.bound_at(at("2026-11-30T08:00")) == 333_334 + 4_000


def test_downgrade_on_1_march_paid_ahead() -> None:
    history = account(PRO, Choice(at("2027-03-01T09:00"), FREE), opened="2027-02-01", invoices=2)
    february, march = invoices_of(history)
    assert amounts(february, "fee") == [("pro", 4900)]
    assert amounts(march, "fee") == []
    months = Course(history).months
    assert months[1].stretches() == {PRO: 31}
    assert months[2].begins_with == FREE


def test_late_units_of_a_free_day() -> None:
    late = used("2026-11-03", 5 * MILLION, told="2026-12-05")
    history = account(FREE, Choice(at("2026-11-10"), PRO), usage=(late,), invoices=2)
    assert invoices_of(history)[1].sum_of("adjustment") == 0


def test_late_units_of_an_enterprise_day() -> None:
    before = used("2026-11-01T04:00", 40 * MILLION)
    late = used("2026-11-03", 5 * MILLION, told="2026-12-05")
    moved = StaffMove(at("2026-11-16"), FREE)
    history = account(ENTERPRISE, moved, usage=(before, late), invoices=2)
    assert amounts(invoices_of(history)[1], "adjustment") == [("enterprise", 9000)]


def test_volume_of_one_day_is_not_divided() -> None:
    assert price_of(tiers("volume", (MILLION, "0.001", "0"), (None, "0.0005", "0")), 900_000, 1, 30) == 90_000


def test_tiers_of_one_day_are_not_divided() -> None:
    assert price_of(tiers("graduated", (10, "1", "0"), (20, "1", "100"), (None, "1", "500")), 5, 1, 30) == 500


def test_opened_on_20_november() -> None:
    (invoice,) = invoices_of(account(PRO, opened="2026-11-20"))
    assert amounts(invoice, "upgrade") == [("pro", 1797)]
    assert amounts(invoice, "fee") == [("pro", 4900)]
    assert share_of(MILLION, 11, 30) == 366_667


def test_first_tiers_flat_fee_for_each_of_three_plans() -> None:
    prices = tiers("graduated", (10, "1", "20"), (None, "1", "0"))
    one, two, three = (plan(f"p{rank}", rank, None, None, prices) for rank in (1, 2, 3))
    (invoice,) = invoices_of(account(one, Choice(at("2026-11-10"), two), Choice(at("2026-11-20"), three)))
    assert amounts(invoice, "usage") == [("p1", 2000), ("p2", 2000), ("p3", 2000)]


def test_a_cheaper_plan_between_costs_nothing() -> None:
    a, b, c = plan("a", 1, "100"), plan("b", 2, "10"), plan("c", 3, "100")
    (invoice,) = invoices_of(account(a, Choice(at("2026-11-01T01:00"), b), Choice(at("2026-11-01T02:00"), c)))
    assert amounts(invoice, "upgrade") == [("a", 10_000), ("b", 0), ("c", 0)]


def test_twenty_small_upgrades_add_up() -> None:
    chain = [plan(f"p{rank}", rank, str(Fraction(rank, 25))) for rank in range(21)]
    requests = [Choice(at("2026-11-30T01:00") + timedelta(minutes=n), chain[n]) for n in range(1, 21)]
    assert invoices_of(account(chain[0], *requests))[0].sum_of("upgrade") == 3


def test_bound_keeps_at_most_the_shares_of_earlier_days() -> None:
    small, large = plan("small", 1, "30", 10 * MILLION), plan("large", 2, "40", 12 * MILLION)
    change = Choice(at("2026-11-02T08:00"), large)
    history = account(small, change, usage=(used("2026-11-01T09:00", 10 * MILLION),))
    assert Course(history).bound_at(change.at) == 11_933_334
    assert amounts(invoices_of(history)[0], "upgrade") == [("small", 3000), ("large", 967)]


def test_cheaper_late_count_is_carried_over() -> None:
    prices = tiers("volume", (100, "2", "10"), (None, "1", "0"))
    usage = used("2026-11-03", 100), used("2026-11-03", 1, told="2026-12-03")
    first, second, third = invoices_of(account(plan("v", 1, None, None, prices), usage=usage, invoices=3))
    assert first.net == 21_000
    assert amounts(second, "usage") == [("v", 1000)]
    assert (second.sum_of("adjustment"), second.total) == (-10_900, 0)
    assert second.rest == ((Fraction(0), -9900),)
    assert third.sum_of("carried over") == -9900


def test_berlin_to_london() -> None:
    november = first_period(at("2026-11-05"), "Europe/Berlin")
    december = next_period(november, "Europe/London")
    assert (december.name, len(december.days)) == ("2026-12", 31)
    assert december.start == at("2026-12-01", "Europe/Berlin")
    assert december.end == at("2027-01-01", "Europe/London")
    assert december.days[0].end - december.days[0].start == timedelta(hours=25)


def test_from_the_most_eastern_to_the_most_western_zone() -> None:
    december = next_period(first_period(at("2026-11-05"), "Etc/GMT-14"), "Etc/GMT+12")
    assert len(december.days) == 31
    assert december.days[0].end - december.days[0].start == timedelta(hours=24 + 26)


def test_from_the_most_western_to_the_most_eastern_zone() -> None:
    december = next_period(first_period(at("2026-11-05"), "Etc/GMT+12"), "Etc/GMT-14")
    assert len(december.days) == 30
    assert december.days[0].date == date(2026, 12, 2)
    assert december.days[0].end - december.days[0].start == timedelta(hours=22)


def test_a_zone_choice_has_one_fee_and_one_quota() -> None:
    hard = plan("hard", 1, "30", 3_000)
    moved = ZoneChoice(at("2026-11-10"), "Etc/GMT+12")
    ends = at("2026-12-01", "Etc/GMT-14"), at("2027-01-01", "Etc/GMT+12")
    history = History(
        at("2026-11-05"), "Etc/GMT-14", hard, (moved,), (), tuple(end + timedelta(hours=1) for end in ends)
    )
    assert [amounts(invoice, "fee") for invoice in invoices_of(history)] == [[("hard", 3000)]] * 2
    assert Course(history).bound_at(at("2026-12-02")) == 3_000


def test_another_version_waits_for_the_next_period() -> None:
    newer = Version("pro", 2, 2, Fraction(59), None, PRO.tariff)
    course = Course(account(PRO, Choice(at("2026-11-10"), newer)))
    assert course.months[0].stretches() == {PRO: 30}
    assert course.months[1].begins_with == newer


def test_a_maximum_is_not_divided() -> None:
    capped = plan("m", 2, "20", None, tariff({"model": "per_unit", "unit": "0.00001"}, maximum="100"))
    use = used("2026-11-30T10:00", 20 * MILLION)
    (invoice,) = invoices_of(account(FREE, Choice(at("2026-11-30T09:00"), capped), usage=(use,)))
    assert (invoice.sum_of("upgrade"), invoice.sum_of("usage")) == (67, 10_000)


@pytest.mark.parametrize(("late", "adjustment"), [(3_000, 0), (5_000, 1_000)])
def test_late_units_fill_a_minimum_first(late: int, adjustment: int) -> None:
    committed = plan("c", 1, None, None, tariff({"model": "per_unit", "unit": "0.01"}, minimum="50"))
    usage = used("2026-11-03", 1_000), used("2026-11-04", late, told="2026-12-09")
    assert invoices_of(account(committed, usage=usage, invoices=2))[1].sum_of("adjustment") == adjustment


def test_downgrade_in_the_grace_hour() -> None:
    history = account(PRO, Choice(at("2026-12-01T00:30"), FREE), invoices=2)
    assert [amounts(invoice, "fee") for invoice in invoices_of(history)] == [[("pro", 4900)], []]


def test_two_undos_on_one_day() -> None:
    a, b, c = plan("a", 1, "10"), plan("b", 2, "20"), plan("c", 3, "30")
    hours = [at("2026-11-05") + timedelta(hours=hour) for hour in range(1, 5)]
    course = Course(account(a, Choice(hours[0], b), Choice(hours[1], c), Undo(hours[2]), Undo(hours[3])))
    assert [decision.outcome for decision in course.decisions] == ["upgrade", "upgrade", "undo", "downgrade"]
    assert course.months[0].stretches() == {a: 4, b: 26}
    assert course.months[1].begins_with == a


def test_from_overage_to_a_hard_quota_is_refused_after_much_use() -> None:
    over, hard = plan("over", 1, "10"), plan("hard", 2, "20", 100 * MILLION)
    use, change = used("2026-11-05T01:00", 1_000 * MILLION), Choice(at("2026-11-05T02:00"), hard)
    (decision,) = Course(account(over, change, usage=(use,))).decisions
    assert (decision.outcome, decision.reason) == ("refused", "tomorrow")
