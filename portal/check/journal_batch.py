"""What checks leave in the usage journal: one write for all that a loop turn decided, and only then their answers."""

import asyncio
from collections.abc import Callable

import msgspec

from portal.check.policy import KeyPolicy, period_at
from portal.check.request import CheckRequest
from portal.check.response import CheckOutcome
from portal.check.rules import Code
from portal.core.logs import get_log
from portal.usage import Journal, UsageRecord

Outcome = CheckOutcome | Exception
OnOutcome = Callable[[Outcome], None]

_VALID = Code.VALID
_TEXTS = {code: code.value for code in Code}


class JournalEntry(msgspec.Struct, array_like=True, gc=False):
    """What a check is counted with; stored for its retries where it has an id.

    Fields are added at the end only, with a default: during an upgrade another version reads what is stored.
    """

    request_id: str
    secret_id: str
    resource: str
    cost: int
    ip: str = ""


def usage_record(
    policy: KeyPolicy, outcome: CheckOutcome, entry: JournalEntry | CheckRequest, now_us: int, period: int = -1
) -> UsageRecord | None:
    """Return the row of usage, of a request or of what was stored for it; None for a look (cost 0), which leaves none.

    `period`: which of the policy's; -1: the script was not asked.
    """
    if entry.cost == 0:
        return None
    response = outcome.response
    return UsageRecord(
        response.request_id,
        policy.account_id,
        policy.key_id,
        policy.secret_id if isinstance(entry, CheckRequest) else entry.secret_id,
        policy.environment,
        entry.resource,
        _TEXTS[response.code],
        entry.cost,
        period_at(policy, now_us) if period < 0 else policy.periods[period][0],
        entry.ip or "",
        outcome.denial,
    )


class JournalBatch:
    """Gathers decided checks and flushes once the event loop comes round.

    `counts` says how many were answered, by code; every check passes here, those of batches too.
    """

    def __init__(self, journal: Journal) -> None:
        self.counts = dict.fromkeys(Code, 0)
        self._journal = journal
        self._records: list[UsageRecord] = []
        self._outcomes: list[tuple[OnOutcome, CheckOutcome]] = []

    def add(self, outcome: CheckOutcome, record: UsageRecord | None, on_outcome: OnOutcome) -> None:
        """Call `on_outcome` with the outcome after `record` (if it counts) is written, or with why it was not."""
        if not self._outcomes:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outcomes.append((on_outcome, outcome))
        if record is not None:
            self._records.append(record)

    def _flush(self) -> None:
        records, self._records = self._records, []
        outcomes, self._outcomes = self._outcomes, []
        try:
            if records:
                self._journal.append(records)
        except Exception as error:
            # Mostly JournalUnavailable; whatever it is, nobody may wait for ever.
            for on_outcome, _ in outcomes:
                _report(on_outcome, error)
            return
        valid = 0
        for on_outcome, outcome in outcomes:
            code = outcome.response.code
            if code is _VALID:
                valid += 1
            else:
                self.counts[code] += 1
            try:
                on_outcome(outcome)
            except Exception as error:
                # An answer that cannot be sent must not keep the others of this turn from theirs.
                _report(on_outcome, error)
        self.counts[_VALID] += valid


def _report(on_outcome: OnOutcome, error: Exception) -> None:
    try:
        on_outcome(error)
    except Exception as failure:
        get_log(__name__).error("check_not_answered", exc_info=failure)
