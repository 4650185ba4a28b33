"""Several checks of one account, all or none: their costs are added up for each limit and decided as one."""

import asyncio
from collections.abc import Sequence
from functools import partial

from portal.check.checker import MAX_ROUNDS, Checker, CheckUnavailable
from portal.check.degraded import retry_after_ms
from portal.check.journal_batch import JournalEntry, usage_record
from portal.check.policy import KeyPolicy, PreparedPolicy, rules_for
from portal.check.request import CheckRequest
from portal.check.response import CheckOutcome, CheckResponse, add_limits, build_response, code_of
from portal.check.rules import Code, pre_check
from portal.core.concurrency.waiting import wait_for_callback
from portal.core.errors import InvalidBody
from portal.keys import secret_digest, secret_problem
from portal.limits import Decision, LimitRequest, LimitState, LimitsUnavailable, Mode, Seed, Status, Subject


async def check_atomic(checker: Checker, requests: Sequence[CheckRequest]) -> list[CheckOutcome]:
    """Decide all or none; return one outcome a request.

    Refused, all carry the code of what refused them, so that none is taken for admitted.

    Raises InvalidBody (keys of several accounts, `id`, `explain`), CheckUnavailable, JournalUnavailable.
    """
    if any(request.id is not None or request.explain for request in requests):
        raise InvalidBody("Atomic checks take neither id nor explain - at `$.checks`")
    seed: Seed | None = None
    for _ in range(MAX_ROUNDS):
        policies = [await _find_policy(checker, request) for request in requests]
        known = [policy for policy in policies if policy is not None]
        if len(known) < len(requests):
            return [CheckOutcome(_unknown(checker)) for _ in requests]
        if len({policy.account_id for policy in known}) > 1:
            raise InvalidBody("Atomic checks are of keys of one account - at `$.checks`")
        denials = [
            pre_check(policy, request, checker.ids.now_us()) for policy, request in zip(known, requests, strict=True)
        ]
        denial = next((code for code in denials if code is not None), None)
        merged = _merge(known, requests, Mode.CONSUME if denial is None else Mode.CONFIRM, seed)
        try:
            decision = await checker.limiter.decide_one(merged)
            if decision.status is Status.UNSEEDED:
                seed = await checker.load_seed(known[0])
                continue
        except LimitsUnavailable as error:
            return await _answer_degraded(checker, known, requests, (merged, denial, error))
        if decision.status is Status.STALE:
            for request in requests:
                await checker.policies.reload(secret_digest(request.key), merged.version)
        else:
            return await _answer(checker, known, requests, (merged, decision, denial))
    raise CheckUnavailable("the account changes faster than it can be read")


async def _find_policy(checker: Checker, request: CheckRequest) -> KeyPolicy | None:
    if secret_problem(request.key) is not None:
        return None
    cached = await checker.policies.find(secret_digest(request.key))
    return cached.policy if cached else None


def _unknown(checker: Checker) -> CheckResponse:
    return CheckResponse(valid=False, code=Code.NOT_FOUND, request_id=checker.ids.next(checker.ids.now_us()))


def _merge(
    policies: Sequence[KeyPolicy], requests: Sequence[CheckRequest], mode: Mode, seed: Seed | None
) -> LimitRequest:
    """Build one request whose subjects carry the costs of all checks that they limit; the quota those of live keys."""
    costs: dict[str, int] = {}
    subjects: dict[str, Subject] = {}
    for policy, request in zip(policies, requests, strict=True):
        for rule in rules_for(policy, request.resource):
            subjects[rule.subject.name] = rule.subject
            costs[rule.subject.name] = costs.get(rule.subject.name, 0) + request.cost
    live = [(policy, request) for policy, request in zip(policies, requests, strict=True) if policy.quota is not None]
    quota = live[0][0].quota if live else None
    total = sum(request.cost for _, request in live)
    version = min(policy.version for policy in policies)
    account_id = policies[0].account_id
    return LimitRequest(
        account_id, version, mode, total, tuple(subjects.values()), quota, seed, costs=tuple(costs.values())
    )


async def _answer(
    checker: Checker,
    policies: Sequence[KeyPolicy],
    requests: Sequence[CheckRequest],
    decided: tuple[LimitRequest, Decision, Code | None],
) -> list[CheckOutcome]:
    """Return the outcomes once their rows are written, together."""
    merged, decision, denial = decided
    code = denial or code_of(decision.status)
    waits: list[asyncio.Future[CheckOutcome]] = []
    for policy, request in zip(policies, requests, strict=True):
        prepared = PreparedPolicy(policy, request.resource)
        response = build_response(policy, code, checker.ids.next(decision.now_us))
        outcome = CheckOutcome(response, prepared)
        if denial is None:
            outcome.decision = _part_of(merged, decision, prepared.subjects, request.cost)
            add_limits(outcome, merged.cost, request.cost if code is Code.VALID else 0)
        entry = JournalEntry(response.request_id, policy.secret_id, request.resource, request.cost, request.ip or "")
        record = usage_record(policy, response, entry, decision.now_us)
        waits.append(wait_for_callback(partial(checker.journal_batch.add, outcome, record)))
    return await asyncio.gather(*waits)


async def _answer_degraded(
    checker: Checker,
    policies: Sequence[KeyPolicy],
    requests: Sequence[CheckRequest],
    undecided: tuple[LimitRequest, Code | None, LimitsUnavailable],
) -> list[CheckOutcome]:
    """Decide by the plan's failure policy, all or none as ever."""
    merged, code, error = undecided
    checker.version_poller.watch(merged.account_id)
    now_us = checker.ids.now_us()
    wait_ms = None
    if code is None:
        decision = checker.degraded_decider.decide(policies[0], merged, now_us)
        if decision is None:
            raise CheckUnavailable(str(error)) from error
        code, wait_ms = code_of(decision.status), retry_after_ms(decision)
    waits: list[asyncio.Future[CheckOutcome]] = []
    for policy, request in zip(policies, requests, strict=True):
        response = build_response(policy, code, checker.ids.next(now_us), is_degraded=True)
        response.retry_after_ms = wait_ms
        entry = JournalEntry(response.request_id, policy.secret_id, request.resource, request.cost, request.ip or "")
        outcome = CheckOutcome(response, PreparedPolicy(policy, request.resource))
        record = usage_record(policy, response, entry, now_us)
        waits.append(wait_for_callback(partial(checker.journal_batch.add, outcome, record)))
    return await asyncio.gather(*waits)


def _part_of(merged: LimitRequest, decision: Decision, subjects: Sequence[Subject], cost: int) -> Decision:
    """Return the decision as one of the checks sees it: its subjects, with the other checks' units as used before."""
    is_admitted = decision.status is Status.ADMITTED
    by_name: dict[str, list[LimitState]] = {}
    position = 0
    for subject, total in zip(merged.subjects, merged.costs or (), strict=True):
        length = 1 if subject.bucket else len(subject.windows)
        other_cost = total - cost if is_admitted else 0
        of_subject = decision.states[position : position + length]
        by_name[subject.name] = [LimitState(s.used + other_cost, s.reset_us, s.retry_us) for s in of_subject]
        position += length
    used = decision.used + (merged.cost - cost if is_admitted else 0)
    states = [state for subject in subjects for state in by_name[subject.name]]
    return Decision(decision.status, decision.now_us, used, decision.period, states)
