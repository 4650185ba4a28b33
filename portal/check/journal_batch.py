"""One write to the journal for all checks that a loop turn decided, and only then their answers."""

import asyncio
from collections.abc import Awaitable, Callable

from portal.check.answer import CheckOutcome
from portal.core.logs import get_log
from portal.usage import Journal, UsageRecord

Outcome = CheckOutcome | Exception
OnChecked = Callable[[Outcome], None]


class JournalBatch:
    """Gathers decided checks; flushes once the event loop comes round."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._records: list[UsageRecord] = []
        self._answers: list[tuple[OnChecked, CheckOutcome]] = []

    def add(self, checked: CheckOutcome, record: UsageRecord | None, on_checked: OnChecked) -> None:
        """`on_checked` gets the answer after `record` (if it counts) is written, or why it was not."""
        if not self._answers:
            asyncio.get_running_loop().call_soon(self._flush)
        self._answers.append((on_checked, checked))
        if record is not None:
            self._records.append(record)

    def _flush(self) -> None:
        records, self._records = self._records, []
        answers, self._answers = self._answers, []
        try:
            if records:
                self._journal.append(records)
        except Exception as error:
            # Mostly JournalUnavailable; whatever it is, nobody may wait for ever.
            for on_checked, _ in answers:
                _tell(on_checked, error)
            return
        for on_checked, checked in answers:
            try:
                on_checked(checked)
            except Exception as error:
                # An answer that cannot be told must not keep the others of this turn from theirs.
                _tell(on_checked, error)


def _tell(on_checked: OnChecked, error: Exception) -> None:
    try:
        on_checked(error)
    except Exception as failure:
        get_log(__name__).error("check_not_answered", exc_info=failure)


def wait_for(turn: JournalBatch, checked: CheckOutcome, record: UsageRecord | None) -> Awaitable[CheckOutcome]:
    """Add at once; awaiting gives the answer once it is written, or raises JournalUnavailable."""
    future: asyncio.Future[CheckOutcome] = asyncio.get_running_loop().create_future()

    def settle(outcome: Outcome) -> None:
        if future.done():  # nobody waits any more
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    turn.add(checked, record, settle)
    return future
