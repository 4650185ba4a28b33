"""How many units a period has: what is included by share, and the bound of a hard quota. Pure.

Plan page, quota, draft and invoice all show figures of these functions.
"""

from collections.abc import Sequence

from portal.plans.history import ChangeKind, Holding, PeriodHistory, PlanTerms, days_held


def included(units: int, days: int, of_days: int) -> int:
    """Return the part of `units` that `days` of a period's `of_days` bring, rounded up."""
    return -(-units * days // of_days)


def quota_bound(history: PeriodHistory) -> int | None:
    """Return how many units of the period are admitted in all; None with overage, when nothing is denied.

    A plan with a fee that does not have all days brings its share by the days left, plus what was used before; but of
    that at most what the plans held earlier brought for their own days. An upgrade never lowers a bound.
    """
    held, of_days = days_held(history), len(history.period.days)
    bound: int | None = None
    for place, (holding, days) in enumerate(held):
        fresh = _bound_of(holding, days.start, held[:place], of_days)
        if fresh is not None and bound is not None and holding.kind is not ChangeKind.MOVE_DOWN:
            fresh = max(fresh, bound)
        bound = fresh
    return bound


def _bound_of(holding: Holding, first: int, earlier: Sequence[tuple[Holding, range]], of_days: int) -> int | None:
    """Return the bound that a plan brings from the day of number `first` on: all of it where it has all days."""
    days_by_plan: dict[tuple[str, int], tuple[PlanTerms, int]] = {}
    for other, days in earlier:
        _, before = days_by_plan.get(other.terms.key, (other.terms, 0))
        days_by_plan[other.terms.key] = other.terms, before + len(days)
    quota = holding.terms.hard_quota
    _, had_before = days_by_plan.get(holding.terms.key, (holding.terms, 0))
    if quota is None or not holding.terms.price or had_before == first:
        return quota
    used = holding.used_before
    shares = [_share(terms, days, of_days) for terms, days in days_by_plan.values()]
    at_most = sum(used if share is None else share for share in shares)
    return included(quota, of_days - first, of_days) + min(used, at_most)


def _share(terms: PlanTerms, days: int, of_days: int) -> int | None:
    """Return what a plan brought for its own days: without a fee the whole quota; None with overage, all there was."""
    quota = terms.hard_quota
    return quota if quota is None or not terms.price else included(quota, days, of_days)
