"""Decide which of the recorded calls a request caused. Pure: no clock, no I/O."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Activity:
    """Who called: a task, a thread or a callback of the event loop.

    `identity` is an older task itself, and otherwise the outermost function. `is_older`: a task that lived before the
    recording began, and so one of the background.
    """

    identity: Hashable
    is_older: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function of ours, or (`is_resumed`) a coroutine that goes on where it waited."""

    activity: Activity
    file: str
    function: str
    is_resumed: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """`files` were entered in every repetition, in order of first entry; `varying` in some only."""

    files: tuple[str, ...]
    varying: tuple[str, ...]


IdleCalls = Mapping[Activity, frozenset[tuple[str, str]]]
"""(file, function) pairs."""


def collect_idle(calls: Iterable[Call]) -> IdleCalls:
    """Return what each activity calls while nobody asks for anything."""
    found: dict[Activity, set[tuple[str, str]]] = {}
    for call in calls:
        found.setdefault(call.activity, set()).add((call.file, call.function))
    return {activity: frozenset(functions) for activity, functions in found.items()}


def select_caused(calls: Sequence[Call], idle: IdleCalls, *, with_background: bool) -> list[Call]:
    """Return the calls of every activity that calls something which it does not call when idle, in order.

    Older tasks are left out unless `with_background`. Going on is no such call: which of its waiting functions Python
    runs through again depends on whether the task was woken or its time ran out.
    """
    caused = {
        call.activity
        for call in calls
        if not call.is_resumed
        and (with_background or not call.activity.is_older)
        and (call.file, call.function) not in idle.get(call.activity, frozenset())
    }
    return [call for call in calls if call.activity in caused]


def intersect(repetitions: Sequence[Sequence[Call]]) -> Walk:
    """Merge the repetitions of one walk, at least one. The order is that of the last."""
    sets = [{call.file for call in calls} for calls in repetitions]
    always, ever = set.intersection(*sets), set.union(*sets)
    entered = dict.fromkeys(call.file for call in repetitions[-1])
    return Walk(tuple(file for file in entered if file in always), tuple(sorted(ever - always)))
