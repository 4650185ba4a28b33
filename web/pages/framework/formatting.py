"""Numbers, instants and durations as people read them. Pure: the present is always an argument."""

from calendar import month_name
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}
MAX_CHANGE = 999
_SCALES = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (48 * 3600, 3600, "h"), (60 * 86_400, 86_400, "days"))


def parse_instant(value: str | datetime) -> datetime:
    """Return an instant from GraphQL's ISO 8601; without a zone it is UTC."""
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def number(value: int) -> str:
    """Return 48213 as 48,213, with a true minus sign."""
    return f"{value:,}".replace("-", "\N{MINUS SIGN}")


def compact(value: float) -> str:
    """Return a figure for an axis: 0, 500, 1.5k, 20k, 3M."""
    for scale, letter in _SCALES:
        if abs(value) >= scale:
            return f"{value / scale:.2f}".rstrip("0").rstrip(".") + letter
    return f"{value:g}"


def percent(part: int, whole: int) -> str:
    """Return a share in percent: one decimal below ten, two below one, 0% of nothing; 100% only of the whole."""
    if not whole or not part:
        return "0%"
    share = Decimal(part) * 100 / Decimal(whole)
    if share < Decimal("0.01"):
        return "< 0.01%"
    if part < whole and share > Decimal("99.99"):
        return "> 99.99%"
    if part < whole and share >= 99:
        return f"{share.quantize(Decimal('0.01'), ROUND_DOWN)}%"
    places = Decimal("0.01") if share < 1 else Decimal("0.1") if share < 10 else Decimal(1)
    return f"{share.quantize(places, ROUND_HALF_UP):,}%"


def change(now: int, before: int) -> str | None:
    """Return a change like +12% against the period before; None where there was nothing to compare with."""
    if not before:
        return None
    share = (Decimal(now - before) * 100 / Decimal(before)).quantize(Decimal(1), ROUND_HALF_UP)
    if share > MAX_CHANGE:
        return f"> +{MAX_CHANGE}%"
    sign = "+" if share > 0 else "\N{MINUS SIGN}" if share < 0 else "±"
    return f"{sign}{abs(share):,}%"


def date(value: str | datetime, zone: str = "UTC") -> str:
    """Return a date like 12 Mar 2027."""
    local = parse_instant(value).astimezone(ZoneInfo(zone))
    return f"{local.day} {MONTHS[local.month - 1]} {local.year}"


def day(value: str | datetime, zone: str = "UTC") -> str:
    """Return a day like 12 Mar, for what is near."""
    return date(value, zone).rpartition(" ")[0]


def moment(value: str | datetime, zone: str = "UTC") -> str:
    """Return a time like 12 Mar 2027, 14:05."""
    local = parse_instant(value).astimezone(ZoneInfo(zone))
    return f"{date(value, zone)}, {local:%H:%M}"


def clock(value: str | datetime, zone: str = "UTC") -> str:
    """Return a time of day like 14:05."""
    return f"{parse_instant(value).astimezone(ZoneInfo(zone)):%H:%M}"


def second(value: str | datetime, zone: str = "UTC") -> str:
    """Return a time like 12 Mar 2027, 14:05:09."""
    return f"{moment(value, zone)}:{parse_instant(value).second:02d}"


def log_time(value: str | datetime, now: datetime, zone: str = "UTC") -> str:
    """Return a time like 12 Mar, 14:05:09, with the year only where it is not this one."""
    shown = second(value, zone)
    return shown.replace(f" {now.astimezone(ZoneInfo(zone)).year},", ",")


def relative(value: str | datetime, now: datetime) -> str:
    """Return 2 min ago or in 3 days within two months, else the date."""
    instant = parse_instant(value)
    distance = (instant - now).total_seconds()
    if abs(distance) < 10:
        return "now"
    for bound, size, unit in _STEPS:
        if abs(distance) < bound:
            count = round(abs(distance) / size)
            return f"in {count} {unit}" if distance > 0 else f"{count} {unit} ago"
    return date(instant)


def month(period: str) -> str:
    """Return 2026-11 as November 2026."""
    year, number = period.split("-")
    return f"{month_name[int(number)]} {year}"


def money(price: Mapping[str, str]) -> str:
    """Return an amount with its currency, with all its digits: €1,049.00. `price` is a Money of the schema."""
    shown = f"{abs(Decimal(price['amount'])):,f}"
    sign = "\N{MINUS SIGN}" if Decimal(price["amount"]) < 0 else ""
    return sign + with_currency(shown, price["currency"])


def with_currency(shown: str, currency: str) -> str:
    """Return €49 or CHF 49: a symbol stands close, a code apart."""
    return f"{SYMBOLS[currency]}{shown}" if currency in SYMBOLS else f"{currency} {shown}"


def quantity(exact: str) -> str:
    """Return a decimal of the schema like 350,000 or 100.5."""
    return f"{Decimal(exact):,f}"


def bill_part(part: Mapping[str, Any], currency: str) -> str:
    """Return how a part of an invoice line is priced: 350,000 at €0.00006 each, or 10,000 included."""
    unit, flat = (money({"amount": part[name], "currency": currency}) for name in ("unitPrice", "flat"))
    has_unit, has_flat = bool(Decimal(part["unitPrice"])), bool(Decimal(part["flat"]))
    units = quantity(part["quantity"])
    if not has_unit and not has_flat:
        return f"{units} included"
    priced = f"{units} at {unit} each" if has_unit else units
    return f"{priced}, plus {flat}" if has_flat else priced


def duration(length: timedelta) -> str:
    """Return a length in the largest unit that divides it: 1 h, 24 h, 3 days."""
    seconds = int(length.total_seconds())
    if seconds and seconds % 86_400 == 0 and seconds > 86_400:
        return f"{seconds // 86_400} days"
    if seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def span(milliseconds: int) -> str:
    """Return a countdown, a little rounded: 640 ms, 12 s, 3 min, 2 h."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = -(-milliseconds // 1000)
    if seconds < 120:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{round(seconds / 3600)} h"


def window(length_ms: int) -> str:
    """Return the length of a limit's window: 250 ms, 1 s, 24 h."""
    return f"{length_ms} ms" if length_ms % 1000 else duration(timedelta(milliseconds=length_ms))


def zone_name(zone: str, now: datetime) -> str:
    """Return a zone's name and what it means today: Europe/Berlin (UTC+1)."""
    offset = now.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)
    minutes = int(offset.total_seconds() // 60)
    sign = "\N{MINUS SIGN}" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    shown = f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")
    return zone if zone == "UTC" else f"{zone} ({shown})"
