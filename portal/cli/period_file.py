"""Read a file with a billing period: plans, what an account chose, and what it used."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from portal import billing, plans
from portal.billing import currency_from, decimal_from
from portal.core.errors import Invalid
from portal.plans import AccountPeriod, PlanTerms

HINT = "The form is described in docs/guides/pricing.md."


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("This is no time zone, like Europe/Berlin") from None
    return name


def _price_from(value: object) -> Decimal:
    try:
        return decimal_from(value)
    except Invalid as error:
        raise ValueError(str(error)) from None


def _known_currency(code: str) -> str:
    try:
        return currency_from(code)
    except Invalid as error:
        raise ValueError(str(error)) from None


class Strict(BaseModel):
    """What is not known is refused: it may be a name misspelled."""

    model_config = ConfigDict(extra="forbid")


class PlanDocument(Strict):
    """A version of a plan; without a quota it has overage."""

    name: str
    rank: int
    price: Annotated[Decimal, BeforeValidator(_price_from)] = Decimal(0)
    version: Annotated[int, Field(ge=1)] = 1
    quota: Annotated[int, Field(ge=0)] | None = None
    tariff: dict[str, Any] = {}


class ChangeDocument(Strict):
    """What the account or staff did; `plan` for what needs one."""

    at: datetime
    do: Literal["open", "choose", "undo", "withdraw", "move"]
    plan: str | None = None
    version: int | None = None


class UsageDocument(Strict):
    """Units that were used at an instant."""

    at: datetime
    units: Annotated[int, Field(ge=0)]


class PeriodDocument(Strict):
    """A billing period; without `start` the account is opened in it."""

    period: Annotated[str, Field(pattern=r"^[1-9]\d{3}-(0[1-9]|1[0-2])$")]
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    currency: Annotated[str, AfterValidator(_known_currency)] = "EUR"
    plans: Annotated[list[PlanDocument], Field(min_length=1)]
    start: str | None = None
    changes: list[ChangeDocument] = []
    usage: list[UsageDocument] = []


@dataclass(frozen=True, slots=True)
class PeriodFile:
    """`steps` and `usage` are in the order of their instants; a step's terms are None where it needs no plan."""

    period: AccountPeriod
    start: PlanTerms | None
    steps: list[tuple[datetime, str, PlanTerms | None]]
    usage: list[tuple[datetime, int]]


def read_period(path: Path) -> PeriodFile:
    """Return what a file says. Raises Invalid with the place in the file."""
    try:
        document = PeriodDocument.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", hint="Name a file of a period.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = tuple(str(part) for part in first["loc"])
        raise Invalid(f"{first['msg'].removeprefix('Value error, ').rstrip('.')}.", hint=HINT, path=place) from None
    except (ValueError, RecursionError):
        raise Invalid(f"{path} is not JSON.", hint="Name a file of a period.") from None
    return _period_from(document)


def _period_from(document: PeriodDocument) -> PeriodFile:
    period = plans.month_period(document.period, document.time_zone)
    catalogue: dict[str, dict[int, PlanTerms]] = {}
    for number, entry in enumerate(document.plans):
        versions = catalogue.setdefault(entry.name, {})
        if entry.version in versions:
            raise Invalid(
                f"There are two of {entry.name}.", hint="Give one another version.", path=("plans", str(number))
            )
        versions[entry.version] = _terms(entry, document.currency, number)
    steps = []
    for number, change in enumerate(document.changes):
        path = ("changes", str(number))
        terms = None
        if change.do in ("open", "choose", "move"):
            terms = _plan_called(catalogue, change.plan, change.version, (*path, "plan"))
        steps.append((_instant(change.at, period, (*path, "at")), str(change.do), terms))
    usage = [
        (_instant(used.at, period, ("usage", str(number), "at")), used.units)
        for number, used in enumerate(document.usage)
    ]
    start = None if document.start is None else _plan_called(catalogue, document.start, None, ("start",))
    if any(later[0] <= earlier[0] for earlier, later in pairwise(steps)):
        raise Invalid("The changes are not in order.", hint="Write each later than the one before.", path=("changes",))
    _check_opening(start, [do for _, do, _ in steps])
    return PeriodFile(period, start, steps, sorted(usage))


def _check_opening(start: PlanTerms | None, doings: list[str]) -> None:
    """Refuse an account that is never opened, or twice. Raises Invalid."""
    is_opened = doings[:1] == ["open"]
    if is_opened == (start is not None) or "open" in doings[1:]:
        hint = 'Name the plan that the period began with as "start", or let the first change be "open".'
        raise Invalid("The account has to begin with one plan.", hint=hint, path=("start",))


def _terms(entry: PlanDocument, currency: str, number: int) -> PlanTerms:
    if entry.tariff:
        try:
            tariff = billing.parse_tariff(entry.tariff)
        except Invalid as error:
            path = ("plans", str(number), "tariff", *error.path)
            raise Invalid(error.message, hint=error.hint, path=path) from None
        if tariff.currency != currency:
            path = ("plans", str(number), "tariff", "currency")
            raise Invalid(f"This tariff is in {tariff.currency}.", hint=f"Write it in {currency}.", path=path)
    is_overage_allowed = entry.quota is None
    return PlanTerms(
        plan_id=entry.name,
        version=entry.version,
        rank=entry.rank,
        name=entry.name,
        price=entry.price,
        currency=currency,
        quota=entry.quota,
        is_overage_allowed=is_overage_allowed,
        tariff=entry.tariff,
    )


def _plan_called(
    catalogue: dict[str, dict[int, PlanTerms]], name: str | None, version: int | None, path: tuple[str, ...]
) -> PlanTerms:
    """Return a plan in that version, or in its newest. Raises Invalid."""
    versions = catalogue.get(name or "", {})
    terms = versions.get(version or max(versions, default=0))
    if terms is None:
        raise Invalid("There is no such plan.", hint=f"There are: {', '.join(catalogue)}.", path=path)
    return terms


def _instant(at: datetime, period: AccountPeriod, path: tuple[str, ...]) -> datetime:
    """Return an instant of the period; without an offset it is local. Raises Invalid."""
    instant = (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(period.time_zone))).astimezone(UTC)
    if not period.start <= instant < period.end:
        hint = f"It is {period.start.isoformat()} to {period.end.isoformat()}."
        raise Invalid("This is not in the period.", hint=hint, path=path)
    return instant
