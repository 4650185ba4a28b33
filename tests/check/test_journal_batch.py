"""Answers of one loop turn leave after their rows are written, each for itself."""

import asyncio

from portal.check import CheckOutcome, CheckResponse, Code, Outcome
from portal.check.journal_batch import JournalBatch
from portal.usage import UsageRecord
from tests.check.conftest import Process


async def test_an_answer_that_cannot_be_sent_leaves_the_others_alone(process: Process) -> None:
    batch, outcomes = JournalBatch(process.checker.journal), list[Outcome]()
    outcome = CheckOutcome(CheckResponse(valid=False, code=Code.NOT_FOUND, request_id="req_1"))

    def refuse(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if isinstance(outcome, CheckOutcome):
            raise OverflowError("too large a number")

    batch.add(outcome, None, refuse)
    batch.add(outcome, None, outcomes.append)
    await asyncio.sleep(0)
    assert outcomes[0] is outcome
    assert isinstance(outcomes[1], OverflowError)
    assert outcomes[2] is outcome


async def test_one_that_fails_twice_and_a_journal_that_breaks_leave_the_others_alone(process: Process) -> None:
    batch, outcomes = JournalBatch(process.checker.journal), list[Outcome]()
    outcome = CheckOutcome(CheckResponse(valid=False, code=Code.NOT_FOUND, request_id="req_1"))

    def refuse(_outcome: Outcome) -> None:
        raise OverflowError("too large a number")

    batch.add(outcome, None, refuse)
    batch.add(outcome, None, outcomes.append)
    await asyncio.sleep(0)
    assert outcomes == [outcome]
    too_long = UsageRecord("req_2", "acct", "key", "sec", "live", "x" * 100_000, "VALID", 1, "2026-11", "")
    batch.add(outcome, too_long, refuse)
    batch.add(outcome, None, outcomes.append)
    await asyncio.sleep(0)
    assert isinstance(outcomes[1], ValueError)
