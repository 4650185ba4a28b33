"""Answers of one loop turn leave after their rows are written, each for itself."""

import asyncio

from portal.check import CheckOutcome, CheckResponse, Code
from portal.check.journal_batch import JournalBatch, Outcome
from portal.usage import UsageRecord
from tests.check.conftest import Process


async def test_an_answer_that_cannot_be_told_leaves_the_others_alone(process: Process) -> None:
    turn, told = JournalBatch(process.checker.journal), list[Outcome]()
    checked = CheckOutcome(CheckResponse(valid=False, code=Code.NOT_FOUND, request_id="req_1"))

    def refuse(outcome: Outcome) -> None:
        told.append(outcome)
        if isinstance(outcome, CheckOutcome):
            raise OverflowError("too large a number")

    turn.add(checked, None, refuse)
    turn.add(checked, None, told.append)
    await asyncio.sleep(0)
    assert told[0] is checked
    assert isinstance(told[1], OverflowError)
    assert told[2] is checked


async def test_one_that_fails_twice_and_a_journal_that_breaks_leave_the_others_alone(process: Process) -> None:
    turn, told = JournalBatch(process.checker.journal), list[Outcome]()
    checked = CheckOutcome(CheckResponse(valid=False, code=Code.NOT_FOUND, request_id="req_1"))

    def refuse(_outcome: Outcome) -> None:
        raise OverflowError("too large a number")

    turn.add(checked, None, refuse)
    turn.add(checked, None, told.append)
    await asyncio.sleep(0)
    assert told == [checked]
    too_long = UsageRecord("req_2", "acct", "key", "sec", "live", "x" * 100_000, "VALID", 1, "2026-11", "")
    turn.add(checked, too_long, refuse)
    turn.add(checked, None, told.append)
    await asyncio.sleep(0)
    assert isinstance(told[1], ValueError)
