"""What attempts to get more for less come to: docs/proof/gaming.md lists them, and each figure there is computed here.

`November` is a month of 30 days; what the account began it with was charged ahead, so it is not in the figures.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from portal.billing.inputs import build_lines
from portal.billing.rate import LineKind
from portal.core.errors import Conflict
from portal.plans import (
    PlanTerms,
    decide_choice,
    decide_undo,
    first_period,
    included,
    month_period,
    next_period,
    quota_bound,
    stretches_of,
)
from tests.billing.second_model import inputs_of, later
from tests.plans.plan_model import ENTERPRISE, FREE, NOVEMBER, PRO, Account, at, plan, utc

PAGE = Path(__file__).parents[2] / "docs" / "proof" / "gaming.md"
M = 1_000_000
DECEMBER = next_period(NOVEMBER, "UTC")
TEN, TWELVE = plan("ten", 2, 30, quota=10 * M), plan("twelve", 3, 40, quota=12 * M)


def bill(account: Account, *units: int) -> str:
    """Return what a period's changes and usage come to, and the fee ahead: "345.03 + 262.00, then 990.00"."""
    drafts = build_lines(inputs_of(account, *units))
    period = account.history.period.name
    of_period = [draft.line for draft in drafts if draft.period == period]
    fees = sum((line.amount for line in of_period if line.kind is LineKind.FEE), Decimal("0.00"))
    usage = sum((line.amount for line in of_period if line.kind is not LineKind.FEE), Decimal("0.00"))
    ahead = sum((draft.line.amount for draft in drafts if draft.period != period), Decimal("0.00"))
    return f"{fees} + {usage}, then {ahead}"


def quota(account: Account) -> str:
    return f"{bill(account).split(' +')[0]} for a quota of {quota_bound(account.history):,}"


def tariff(**charge: Any) -> dict[str, Any]:
    return {"currency": "EUR", "charges": [{"code": "units", **charge}]}


def tiered(*tiers: tuple[str | None, str, str]) -> dict[str, Any]:
    steps = [{"up_to": up_to, "unit": unit, "flat": flat} for up_to, unit, flat in tiers]
    return tariff(model="graduated", tiers=steps)


def flapping_within_a_day() -> str:
    account = Account(PRO)
    for hour in range(0, 24, 2):
        account.choose(ENTERPRISE, at(20, hour)).undo(at(20, hour + 1))
    return bill(account)


def flapping_every_day() -> str:
    account = Account(PRO)
    for day in range(1, 31):
        account.choose(ENTERPRISE, at(day, 8)).choose(PRO, at(day, 20))
    return bill(account)


def twenty_small_upgrades() -> str:
    account = Account(plan("0", 1, 10))
    for number in range(1, 21):
        price = 10 + number * Decimal("0.04")
        account.choose(plan(str(number), number + 1, str(price)), at(30, 1, number))
    return bill(account).split(", then")[0]


def a_hundred_upgrades_of_less_than_half_a_cent() -> str:
    account = Account(plan("0", 1, 10))
    for number in range(1, 101):
        price = 10 + number * Decimal("0.1")
        account.choose(plan(str(number), number + 1, str(price)), at(30, 1) + timedelta(minutes=number))
    return bill(account).split(", then")[0]


def twin(name: str, rank: int) -> PlanTerms:
    return plan(name, rank, 49, tariff=PRO.tariff)


def chain(day: int, *terms: PlanTerms) -> Account:
    account = Account(terms[0])
    for number, target in enumerate(terms[1:], start=1):
        account.choose(target, at(day, 1, number))
    return account


def split(charge: dict[str, Any], *days: int, price: int = 0) -> Account:
    """Return an account that goes through plans of the same tariff, one from each of these days on."""
    account = Account(plan("1", 1, price, tariff=charge))
    for number, day in enumerate(days, start=2):
        account.choose(plan(str(number), number, price, tariff=charge), at(day))
    return account


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(Conflict) as error:
        attempt()
    return f"refused: {error.value.message}"


def zones(*names: str) -> str:
    """Return what Pro costs over periods in these zones, and how long they last."""
    period, days, fees = month_period("2026-11", names[0]), 0, Decimal(0)
    for zone in names[1:]:
        period = next_period(period, zone)
        fees += sum(
            draft.line.amount
            for draft in build_lines(inputs_of(Account(PRO, period)))
            if draft.line.kind is LineKind.FEE
        )
        days += len(period.days)
    return f"{fees} for {len(names) - 1} period{'s' * (len(names) > 2)}, {days} days"


def late(account: Account, stretch: int, units: int, told: int) -> str:
    usage = inputs_of(account, *[units if number == stretch else 0 for number in range(stretch + 1)]).usage[stretch]
    inputs = inputs_of(Account(FREE, DECEMBER), late=[later(usage, units + told)])
    return str(next(draft.line.amount for draft in build_lines(inputs) if draft.line.kind is LineKind.ADJUSTMENT))


def undo_next_day() -> str:
    account = Account(PRO).choose(ENTERPRISE, at(20, 23, 59))
    return refused(lambda: decide_undo(account.situation(NOVEMBER.start_of(20))))


def undo_after_moving_west() -> str:
    """The day ends where it did when it began, whatever zone is chosen for the next period."""
    period = month_period("2026-11", "Pacific/Kiritimati")
    account = Account(PRO, period).choose(ENTERPRISE, period.start_of(30 - 1))
    following = Account(account.history.next_terms, next_period(period, "Etc/GMT+12"))
    return refused(lambda: decide_undo(following.situation(period.end)))


def hard_twins() -> str:
    account = Account(TEN)
    for day in range(2, 12):
        account.choose(plan(f"ten {day}", day + 1, 30, quota=10 * M), at(day), used=10 * M)
    return quota(account)


def overage_in_between() -> str:
    between = plan("between", 3, 35)
    account = Account(TEN).choose(between, at(2, 8), used=10 * M)
    return quota(account.choose(plan("twelve", 4, 40, quota=12 * M), at(2, 9), used=10 * M))


def heavy_day_before_a_hard_quota() -> str:
    hard = plan("hard", 3, 60, quota=12 * M)
    return refused(lambda: decide_choice(Account(PRO).situation(at(20), 1_000 * M, 1_000 * M), hard))


def opened_before(text: str) -> str:
    opened = utc(text)
    return bill(Account(None, first_period(opened, "UTC")).open(PRO, opened))


ATTEMPTS: dict[str, Callable[[], str]] = {
    "Enterprise and back twelve times on the 20th": flapping_within_a_day,
    "up at 08:00 and down at 20:00, each day of November": flapping_every_day,
    "Enterprise for five minutes on the 20th, undone": lambda: bill(
        Account(PRO).choose(ENTERPRISE, at(20)).undo(at(20, 12, 5))
    ),
    "use 5 M on Enterprise on the 20th, then undo": lambda: bill(
        Account(PRO).choose(ENTERPRISE, at(20)).undo(at(20, 23), used=5 * M), 5 * M
    ),
    "Free, Pro on the 20th, 10,001 units, then undo": lambda: bill(
        Account(FREE).choose(PRO, at(20)).undo(at(20, 23), used=10_001), 0, 10_001
    ),
    "Free, Pro on the 20th, 10,000 units, then undo": lambda: bill(
        Account(FREE).choose(PRO, at(20)).undo(at(20, 23), used=10_000), 10_000
    ),
    "undo a minute after midnight": undo_next_day,
    "undo, with a zone chosen in which it is still yesterday": undo_after_moving_west,
    "20 M on Pro, then Enterprise on the last day for its prices": lambda: bill(
        Account(PRO).choose(ENTERPRISE, at(30)), 20 * M
    ),
    "20 M on the last day, Enterprise at 23:59": lambda: bill(
        Account(PRO).choose(ENTERPRISE, at(30, 23, 59)).choose(PRO, at(30, 23, 59) + timedelta(seconds=9)), 0, 20 * M
    ),
    "Free, Enterprise at 00:01 of the last day, 20 M, back at 23:59": lambda: bill(
        Account(FREE).choose(ENTERPRISE, at(30, 0, 1)).undo(at(30, 23, 59), used=20 * M), 0, 20 * M
    ),
    "Free, Pro for the last day only, for its million": lambda: bill(
        Account(FREE).choose(PRO, at(30)).choose(FREE, at(30, 13)), 0, M
    ),
    "open an account on Pro on the last day": lambda: opened_before("2026-11-30T23:59:59"),
    "upgrade in the last microsecond of the 19th": lambda: bill(
        Account(PRO).choose(ENTERPRISE, NOVEMBER.start_of(19) - timedelta(microseconds=1))
    ),
    "upgrade at the first instant of the 20th": lambda: bill(Account(PRO).choose(ENTERPRISE, NOVEMBER.start_of(19))),
    "down to Free at 00:30 of 1 December, before the invoice": lambda: bill(
        Account(PRO, DECEMBER).choose(FREE, at(1, 0, 30, period=DECEMBER))
    ),
    "down to Free on the 1st, to get the month back": lambda: bill(Account(PRO).choose(FREE, at(1, 8))),
    "down on the 1st, withdrawn in the last minute": lambda: bill(
        Account(PRO).choose(FREE, at(1)).choose(PRO, at(30, 23, 59))
    ),
    "down to Free, its 10,000 on 1 December, then Pro on the 2nd": lambda: bill(
        Account(FREE, DECEMBER).choose(PRO, at(2, period=DECEMBER), used=10_000), 10_000
    ),
    "three plans at 100, 10 and 100 on the 1st": lambda: bill(
        Account(None)
        .open(plan("A", 1, 100), at(1, 8))
        .choose(plan("B", 2, 10), at(1, 9))
        .choose(plan("C", 3, 100), at(1, 10))
    ),
    "from a plan at 100 to a cheaper one of higher rank": lambda: bill(
        Account(plan("A", 1, 100)).choose(plan("B", 2, 10), at(2))
    ),
    "a twin of Pro on the 16th, a million on each": lambda: bill(
        Account(twin("one", 2)).choose(twin("two", 3), at(16)), M, M
    ),
    "a twin of Pro for an hour, on one day, a million": lambda: bill(chain(16, twin("one", 2), twin("two", 3)), 0, M),
    "falling tiers, started again with a twin on the 16th: 2 × 10 M": lambda: bill(
        split(tiered(("10000000", "0.00006", "0"), (None, "0.00004", "0")), 16), 10 * M, 10 * M
    ),
    "rising tiers, started again with a twin on the 16th: 2 × 10,000": lambda: bill(
        split(tiered(("10000", "0.001", "0"), (None, "0.01", "0")), 16), 10_000, 10_000
    ),
    "first tier with a flat 20.00, three plans of 9, 10 and 11 days": lambda: bill(
        split(tiered((None, "0", "20")), 10, 20)
    ),
    "packages of 1,000 at 5.00, 500 units on each of two twins": lambda: bill(
        split(tariff(model="package", size=1_000, price="5"), 16), 500, 500
    ),
    "a plan with a maximum of 100.00 for one day, 20 M": lambda: bill(
        Account(FREE).choose(
            plan("capped", 2, 20, tariff={**tariff(model="per_unit", unit="0.00001"), "maximum": "100"}), at(30)
        ),
        0,
        20 * M,
    ),
    "a plan with a minimum of 50.00 for one day": lambda: bill(
        Account(FREE).choose(
            plan("minimum", 2, 0, tariff={**tariff(model="per_unit", unit="0.01"), "minimum": "50"}), at(30)
        )
    ),
    "volume tiers on one day, to reach the cheap one: 900,000": lambda: bill(
        Account(FREE).choose(
            plan(
                "volume",
                2,
                0,
                tariff=tariff(model="volume", tiers=[{"up_to": M, "unit": "0.001"}, {"up_to": None, "unit": "0.0005"}]),
            ),
            at(30),
        ),
        0,
        900_000,
    ),
    "twenty upgrades on the 30th, each 0.04 dearer": twenty_small_upgrades,
    "a hundred upgrades on the 30th, each worth a third of a cent": a_hundred_upgrades_of_less_than_half_a_cent,
    "a hard quota of 10 M used up on the 1st, one of 12 M on the 2nd": lambda: quota(
        Account(TEN).choose(TWELVE, at(2), used=10 * M)
    ),
    "ten twins of a hard quota of 10 M, one a day, all used up": hard_twins,
    "Free used up, then a hard quota of 10 M for the last day": lambda: quota(
        Account(FREE).choose(TEN, at(30), used=10_000)
    ),
    "a plan with overage for an hour between the two hard quotas": overage_in_between,
    "1,000 M with overage, then a hard quota without a tariff that day": heavy_day_before_a_hard_quota,
    "two plans without a fee, 10,000 and 20,000 units": lambda: quota(
        Account(FREE).choose(plan("more", 2, 0, quota=20_000), at(16), used=10_000)
    ),
    "wait for a cheaper version, at once": lambda: bill(
        Account(PRO).choose(plan("Pro", 2, 9, version=2, tariff=PRO.tariff), at(2))
    ),
    "5 M of a day on Free, told after Pro's invoice": lambda: late(Account(FREE).choose(PRO, at(20)), 0, 0, 5 * M),
    "5 M of the Enterprise day, told in a month on Free": lambda: late(
        Account(FREE).choose(ENTERPRISE, at(30)), 1, included(50 * M, 1, 30), 5 * M
    ),
    "units kept back until after the invoice, to take them alone: 2 × 10 M": lambda: late(
        Account(PRO), 0, 10 * M, 10 * M
    ),
    "from UTC+14 to UTC-12, for 26 hours more": lambda: zones("Pacific/Kiritimati", "Etc/GMT+12"),
    "there and back again each month, for a year": lambda: zones(
        "Pacific/Kiritimati", *["Etc/GMT+12", "Pacific/Kiritimati"] * 6
    ),
    "stay in UTC+14 for that year": lambda: zones(*["Pacific/Kiritimati"] * 13),
}


def rows() -> dict[str, str]:
    """Return what the page says of each attempt."""
    found = re.findall(r"^\| \d+ \| (.+?) \| (.+?) \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    return dict(found)


def test_the_page_lists_these_attempts_in_this_order() -> None:
    assert list(rows()) == list(ATTEMPTS)
    assert len(ATTEMPTS) >= 25


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_comes_to_what_the_page_says(attempt: str) -> None:
    assert rows()[attempt] == ATTEMPTS[attempt]()


def test_what_the_attempts_are_compared_with() -> None:
    """The honest figures that the page names beside them."""
    assert bill(Account(PRO), 20 * M) == "0.00 + 940.00, then 49.00"
    assert bill(Account(PRO), 2 * M) == "0.00 + 60.00, then 49.00"
    assert bill(Account(twin("one", 2)), 2 * M) == "0.00 + 60.00, then 49.00"
    assert bill(split(tiered(("10000", "0.001", "0"), (None, "0.01", "0"))), 20_000) == "0.00 + 110.00, then 0.00"
    assert len(stretches_of(chain(16, twin("one", 2), twin("two", 3)).history)) == 2
