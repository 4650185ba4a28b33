"""Random histories from a seed: plans, upgrades, undos, downgrades, staff moves, zones and late usage over periods."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

from tests.billing.oracle.course import Course
from tests.billing.oracle.model import (
    Choice,
    History,
    Request,
    StaffMove,
    Undo,
    Usage,
    Version,
    Withdrawal,
    ZoneChoice,
    ZoneWithdrawal,
)
from tests.billing.oracle.periods import Period
from tests.billing.oracle.tariff import Tariff, read_tariff

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Havana",
    "America/Asuncion",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Asia/Gaza",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Apia",
    "Pacific/Pago_Pago",
    "Etc/GMT+12",
    "Etc/GMT-14",
]
PRICES: list[str | None] = [None, "0", "0.04", "1", "9.99", "10", "20", "33.33", "49", "100", "990"]
TAXES: list[list[str | None]] = [[None], ["20"], ["7.7"], [None, "10", "20"]]
NEVER = datetime(2100, 1, 1, tzinfo=UTC)


def random_history(seed: int, periods: int = 3) -> History:
    """Return the history of a seed, finalized so many times."""
    random = Random(seed)  # noqa: S311
    if seed % 10 == 0:
        return _falling_history(random)
    catalogue = _catalogue(random)
    opened_at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(2 * 365 * 86_400))
    plain = History(opened_at, random.choice(ZONES), random.choice(catalogue[:3]), finalized=(NEVER,) * periods)
    if random.randrange(8) == 0:
        plain = replace(plain, opened_at=Course(plain).months[0].period.start)
    lived = [month.period for month in Course(plain).months[:periods]]
    requests = _requests(random, catalogue, lived, plain.opened_at)
    usage = _usage(random, lived, plain.opened_at, [request.at for request in requests])
    moved = replace(plain, requests=requests, usage=usage)
    ends = [month.period.end for month in Course(moved).months[:periods]]
    delays = [timedelta(hours=1) + random.choice([0, 0, 0, 1]) * timedelta(hours=random.randrange(200)) for _ in ends]
    return replace(moved, finalized=tuple(end + delay for end, delay in zip(ends, delays, strict=True)))


def _falling_history(random: Random) -> History:
    """Return a history in which late units make their period cheaper, so that something is carried over."""
    top, months = random.randrange(50, 2_000), [datetime(2026, month, 1, tzinfo=UTC) for month in range(6, 11)]
    steps = [
        {"up_to": top, "unit": f"{random.randrange(1, 3)}.{random.randrange(100):02}", "flat": _money(random)},
        {"up_to": None, "unit": "0.001", "flat": "0"},
    ]
    charge = {"code": "calls", "model": "volume", "tiers": steps, "free_units": random.choice([0, 0, 40])}
    charges = [charge, *random.choice([[], [{"code": "calls", "model": "flat", "price": _money(random)}]])]
    versions = [
        Version(
            plan=f"plan {rank}",
            version=1,
            rank=rank,
            price=random.choice([None, Fraction(1), Fraction(20)]) if rank == 2 else None,
            quota=None,
            tariff=read_tariff({"currency": "EUR", "charges": charges, "tax_percent": random.choice([None, "20"])}),
        )
        for rank in (1, 2)
    ]
    usage = [Usage(months[0] + timedelta(hours=1), top - random.randrange(50), months[0] + timedelta(hours=2))]
    for _ in range(random.randrange(1, 5)):
        at = months[0] + timedelta(hours=random.randrange(1, 24 * 20))
        usage.append(Usage(at, random.randrange(1, 80), months[random.randrange(1, 4)] + timedelta(days=3)))
    choices = [Choice(months[random.randrange(3)] + timedelta(days=9), versions[1])] if random.randrange(2) else []
    finalized = tuple(month + timedelta(hours=1) for month in months[1:])
    return History(months[0], "UTC", versions[0], tuple(choices), tuple(usage), finalized)


def _catalogue(random: Random) -> list[Version]:
    currency = random.choice(["EUR", "EUR", "EUR", "JPY", "KWD"])
    prices = random.choice([PRICES, PRICES, PRICES[:3]])
    taxes = random.choice(TAXES)
    versions = []
    for rank in range(1, random.randrange(3, 7)):
        for number in range(1, random.choice([2, 2, 3])):
            own = "USD" if random.randrange(40) == 0 else currency
            price = random.choice(prices)
            versions.append(
                Version(
                    plan=f"plan {rank}",
                    version=number,
                    rank=rank,
                    price=None if price is None else Fraction(price),
                    quota=random.choice([None, None, 10, 1_000, 10_000, random.randrange(1, 5_000)]),
                    tariff=_tariff(random, own, random.choice(taxes)),
                    currency=own,
                )
            )
    return versions


def _tariff(random: Random, currency: str, tax: str | None) -> Tariff | None:
    if random.randrange(4) == 0:
        return None
    charges = [_charge(random) for _ in range(random.choice([1, 1, 1, 2]))]
    return read_tariff({"currency": currency, "charges": charges, "tax_percent": tax, **_bounds(random)})


def _charge(random: Random) -> dict[str, Any]:
    model = random.choice(["per_unit", "graduated", "volume", "volume", "package", "flat"])
    charge: dict[str, Any] = {"code": "calls", "model": model, **_bounds(random)}
    if model != "flat":
        charge["free_units"] = random.choice([0, 0, 10, 500, random.randrange(1, 3_000)])
    if model == "per_unit":
        charge["unit"] = _unit(random)
    elif model == "package":
        charge |= {"size": random.choice([1, 10, 100, 333]), "price": _money(random)}
    elif model == "flat":
        charge["price"] = _money(random)
    else:
        tops = sorted(random.sample(range(1, 4_000), random.randrange(3)))
        flats = [random.choice(["0", "0", _money(random)]) for _ in range(len(tops) + 1)]
        units = sorted((_unit(random) for _ in flats), key=Fraction, reverse=random.randrange(3) > 0)
        steps = zip([*tops, None], units, flats, strict=True)  # often cheaper with more units, so late ones lower it
        charge["tiers"] = [{"up_to": top, "unit": unit, "flat": flat} for top, unit, flat in steps]
    return charge


def _bounds(random: Random) -> dict[str, str]:
    if random.randrange(3):
        return {}
    low, high = sorted((random.randrange(0, 5_000), random.randrange(0, 20_000)))
    bounds = {"minimum": f"{low // 100}.{low % 100:02}", "maximum": f"{high // 100}.{high % 100:02}"}
    return {key: value for key, value in bounds.items() if random.randrange(2)}


def _unit(random: Random) -> str:
    return random.choice(["0", "0.00006", "0.001", "0.01", "0.0333", "0.5", f"0.{random.randrange(1, 10**6):06}"])


def _money(random: Random) -> str:
    return f"{random.randrange(60)}.{random.randrange(100):02}"


def _requests(
    random: Random, catalogue: list[Version], periods: list[Period], opened_at: datetime
) -> tuple[Request, ...]:
    """Return clusters of requests: most on one day, as people do who try a plan and come back."""
    requests: list[Request] = []
    for _ in range(random.randrange(5)):
        at = _instant(random, periods, opened_at)
        for _ in range(random.choice([1, 2, 3, 4, 6])):
            is_undo = bool(requests) and isinstance(requests[-1], Choice) and random.randrange(3) == 0
            requests.append(Undo(at) if is_undo else _request(random, catalogue, at))
            at += timedelta(seconds=random.choice([1, 600, 7_200]) * random.randrange(1, 6))
    last = opened_at
    increasing = []
    for request in sorted(requests, key=lambda one: one.at):
        if last < request.at < periods[-1].end:
            increasing.append(request)
            last = request.at
    return tuple(increasing)


def _request(random: Random, catalogue: list[Version], at: datetime) -> Request:
    match random.randrange(20):
        case 0 | 1:
            return Undo(at)
        case 2:
            return Withdrawal(at)
        case 3 | 4:
            return StaffMove(at, random.choice(catalogue))
        case 5 | 6:
            return ZoneChoice(at, random.choice(ZONES))
        case 7:
            return ZoneWithdrawal(at)
        case _:
            return Choice(at, random.choice(catalogue))


def _usage(random: Random, periods: list[Period], opened_at: datetime, changes: list[datetime]) -> tuple[Usage, ...]:
    found = []
    for _ in range(random.randrange(25)):
        at = _instant(random, periods, opened_at)
        if changes and random.randrange(2):
            at = max(opened_at, random.choice(changes) + timedelta(seconds=random.randrange(-4_000, 4_000)))
        late = timedelta(seconds=random.choice([0, 0, random.randrange(3_600), *[random.randrange(35 * 86_400)] * 2]))
        found.append(Usage(at, random.choice([1, 7, 100, random.randrange(1, 6_000)]), at + late))
    return tuple(sorted(found, key=lambda one: one.told_at))


def _instant(random: Random, periods: list[Period], opened_at: datetime) -> datetime:
    """Return an instant after the opening, often at the edge of a day or a period."""
    period = random.choice(periods)
    day = random.choice([period.days[0], period.days[-1], random.choice(period.days), random.choice(period.days)])
    inside = random.randrange(int((day.end - day.start).total_seconds()))
    at = day.start + timedelta(seconds=random.choice([0, inside, inside, inside, inside]))
    return max(opened_at, at)
