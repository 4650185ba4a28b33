"""`portal prorate`: what some days of a period cost, or all of a period in which plans changed."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from portal import billing, plans
from portal.cli.invoice_documents import line_document, total_document
from portal.cli.period_file import PeriodFile, read_period
from portal.cli.usage_errors import refusing_invalid
from portal.core.errors import Conflict, Invalid
from portal.plans import ChangeKind, PeriodHistory, PlanChange, PlanTerms, Situation

OPTIONS = {"first": "--from", "last": "--to", "period_first": "--period-from", "period_last": "--period-to"}
"""The options by the names of the parameters of `days_covered`."""


def prorate(  # one parameter an option is how typer wants it
    changes: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PERIOD.json]", help="File with a period's plans, changes and usage, in place of options."
        ),
    ] = None,
    amount: Annotated[str | None, typer.Option("--amount", help="Price of the whole period, like 49.00.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day, like 2026-11-10.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, included.")] = None,
    period_first: Annotated[str | None, typer.Option("--period-from", help="First day of the period.")] = None,
    period_last: Annotated[str | None, typer.Option("--period-to", help="Last day of the period, included.")] = None,
    currency: Annotated[str, typer.Option("--currency", help="Decides the number of decimals.")] = "EUR",
) -> None:
    """Print what some days of a period cost, first and last included, or all that a file of a period comes to."""
    with refusing_invalid():
        if changes is not None:
            for document in _priced(read_period(changes)):
                typer.echo(json.dumps(document))
            return
        whole = billing.signed_decimal_from(_given(amount, "--amount"), ("--amount",))
        texts = zip((first, last, period_first, period_last), OPTIONS.values(), strict=True)
        share = _share(*(_day(_given(text, option), option) for text, option in texts))
        part = billing.prorate(whole, share, billing.currency_from(currency, ("--currency",)))
    typer.echo(str(part))


def _priced(file: PeriodFile) -> Iterator[dict[str, Any]]:
    """Yield each change as the portal would decide it, then the lines of the period's invoice and its total."""
    history = PeriodHistory(file.period, file.start)
    for at, do, terms in file.steps:
        head = {"kind": "change", "at": at.isoformat()}
        try:
            change, words = _decide(Situation(history, at, *_used_until(file, at)), do, terms)
        except Conflict as refused:
            yield {**head, "change": "refused", "description": str(refused)}
            continue
        if change is None:
            yield {**head, "change": "nothing", "description": words or "Nothing changes."}
            continue
        today = plans.cost_of_change(history, change)
        history = history.with_change(change)
        yield {
            **head,
            "change": change.kind.value,
            "description": words,
            "plan": history.state.terms.name,
            "next_plan": history.next_terms.name,
            "amount": str(today),
            "quota": plans.quota_bound(history),
        }
    yield from _invoice(file, history)


def _decide(situation: Situation, do: str, terms: PlanTerms | None) -> tuple[PlanChange | None, str]:
    """Return what a step of the file is, and in words why an undo is none. Raises Conflict for what is refused."""
    match do, terms:
        case "open", PlanTerms():
            return situation.change(ChangeKind.OPENING, terms), ""
        case "choose", PlanTerms():
            return plans.decide_choice(situation, terms), ""
        case "move", PlanTerms():
            return plans.decide_move(situation, terms), ""
        case "undo", _:
            decided = plans.decide_undo(situation)
            why = (
                "the period's one undo was used" if decided.is_undo_used else "what was used does not fit the old plan"
            )
            return decided.change, f"Not undone: {why}." if decided.is_downgrade else ""
    return plans.decide_withdrawal(situation), ""


def _used_until(file: PeriodFile, instant: datetime) -> tuple[int, int]:
    """Return the units of the period and of the local day that were used before an instant."""
    midnight = file.period.start_of(file.period.day_number(instant))
    before = [(at, units) for at, units in file.usage if at < instant]
    return sum(units for _, units in before), sum(units for at, units in before if at >= midnight)


def _invoice(file: PeriodFile, history: PeriodHistory) -> Iterator[dict[str, Any]]:
    """Yield the lines of the period's invoice, as billing writes them."""
    following = plans.next_period(file.period, file.period.time_zone)
    units = [
        sum(units for at, units in file.usage for start, end in stretch.spans if start <= at < end)
        for stretch in plans.stretches_of(history)
    ]
    inputs = billing.invoice_inputs(history, following, units)
    drafts = billing.build_lines(inputs)
    yield from (line_document(draft.line) for draft in drafts)
    yield total_document(billing.totals(inputs.currency, drafts), inputs.currency)


def _given(text: str | None, option: str) -> str:
    if text is None:
        hint = "Give all five options, or a file of a period."
        raise Invalid("This option is missing.", hint=hint, path=(option,))
    return text


def _share(*days: date) -> billing.Share:
    """Return the share of the period. Raises Invalid with the name of the option."""
    try:
        return billing.days_covered(*days)
    except Invalid as error:
        path = tuple(OPTIONS[name] for name in error.path)
        raise Invalid(error.message, hint=error.hint, path=path) from None


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid("This is not a day.", hint="Write it like 2026-11-10.", path=(option,)) from None
