"""Several checks of one account, all or none: their costs are added up for each limit and decided as one."""

import asyncio
from collections.abc import Sequence

from portal.check.answer import CheckOutcome, CheckResponse, add_limits, build_response, code_of
from portal.check.checker import MAX_ROUNDS, Checker, CheckUnavailable
from portal.check.degraded.failure_policy import retry_after_ms
from portal.check.journal_batch import wait_for
from portal.check.journal_entry import JournalEntry, usage_record
from portal.check.policy.compile import KeyPolicy, load_seed, rules_for
from portal.check.policy.prepared import PreparedPolicy
from portal.check.request import CheckRequest
from portal.check.rules import Code, pre_check
from portal.core.errors import InvalidBody
from portal.keys import secret_digest, secret_problem
from portal.limits import Decision, LimitRequest, LimitState, LimitsUnavailable, Mode, Seed, Status, Subject


async def check_atomic(checker: Checker, requests: Sequence[CheckRequest]) -> list[CheckOutcome]:
    """One answer a request. Refused, all carry the code of what refused them, so that none is taken for admitted.

    Raises InvalidBody (keys of several accounts, `id`, `explain`), CheckUnavailable, JournalUnavailable.
    """
    if any(request.id is not None or request.explain for request in requests):
        raise InvalidBody("Atomic checks take neither id nor explain - at `$.checks`")
    seed: Seed | None = None
    for _ in range(MAX_ROUNDS):
        policies = [await _policy(checker, request) for request in requests]
        known = [policy for policy in policies if policy is not None]
        if len(known) < len(requests):
            return [CheckOutcome(_unknown(checker)) for _ in requests]
        if len({policy.account_id for policy in known}) > 1:
            raise InvalidBody("Atomic checks are of keys of one account - at `$.checks`")
        denials = [
            pre_check(policy, asked, checker.ids.now_us()) for policy, asked in zip(known, requests, strict=True)
        ]
        denial = next((code for code in denials if code is not None), None)
        asked = _merge(known, requests, Mode.CONSUME if denial is None else Mode.CONFIRM, seed)
        try:
            decision = await checker.limiter.decide_one(asked)
        except LimitsUnavailable as error:
            return await _without_redis(checker, known, requests, (asked, denial, error))
        if decision.status is Status.STALE:
            for request in requests:
                await checker.policies.reload(secret_digest(request.key))
        elif decision.status is Status.UNSEEDED:
            seed = await load_seed(checker.database, known[0])
        else:
            return await _count(checker, known, requests, (asked, decision, denial))
    raise CheckUnavailable("the account changes faster than it can be read")


async def _policy(checker: Checker, request: CheckRequest) -> KeyPolicy | None:
    if secret_problem(request.key) is not None:
        return None
    cached = await checker.policies.get(secret_digest(request.key))
    return cached.policy if cached else None


def _unknown(checker: Checker) -> CheckResponse:
    return CheckResponse(valid=False, code=Code.NOT_FOUND, request_id=checker.ids.next(checker.ids.now_us()))


def _merge(
    policies: Sequence[KeyPolicy], requests: Sequence[CheckRequest], mode: Mode, seed: Seed | None
) -> LimitRequest:
    """One request whose subjects carry the costs of all checks that they limit; the quota those of live keys."""
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


async def _count(
    checker: Checker,
    policies: Sequence[KeyPolicy],
    requests: Sequence[CheckRequest],
    outcome: tuple[LimitRequest, Decision, Code | None],
) -> list[CheckOutcome]:
    """Answers and their rows, written together before any of them leaves."""
    asked, decision, denial = outcome
    code = denial or code_of(decision.status)
    waits = []
    for policy, request in zip(policies, requests, strict=True):
        prepared = PreparedPolicy(policy, request.resource)
        answer = build_response(policy, code, checker.ids.next(decision.now_us))
        checked = CheckOutcome(answer, prepared)
        if denial is None:
            checked.decision = _part_of(asked, decision, prepared.subjects, request.cost)
            add_limits(checked, asked.cost, request.cost if code is Code.VALID else 0)
        counted = JournalEntry(answer.request_id, policy.secret_id, request.resource, request.cost, request.ip or "")
        waits.append(wait_for(checker.turn, checked, usage_record(policy, answer, counted, decision.now_us)))
    return await asyncio.gather(*waits)


async def _without_redis(
    checker: Checker,
    policies: Sequence[KeyPolicy],
    requests: Sequence[CheckRequest],
    asked: tuple[LimitRequest, Code | None, LimitsUnavailable],
) -> list[CheckOutcome]:
    """By the plan's failure policy, all or none as ever."""
    merged, code, error = asked
    checker.versions.answered_without_redis(merged.account_id)
    now_us = checker.ids.now_us()
    wait_ms = None
    if code is None:
        decision = checker.degraded_decider.decide(policies[0], merged, now_us)
        if decision is None:
            raise CheckUnavailable(str(error)) from error
        code, wait_ms = code_of(decision.status), retry_after_ms(decision)
    waits = []
    for policy, request in zip(policies, requests, strict=True):
        answer = build_response(policy, code, checker.ids.next(now_us), is_degraded=True)
        answer.retry_after_ms = wait_ms
        counted = JournalEntry(answer.request_id, policy.secret_id, request.resource, request.cost, request.ip or "")
        checked = CheckOutcome(answer, PreparedPolicy(policy, request.resource))
        waits.append(wait_for(checker.turn, checked, usage_record(policy, answer, counted, now_us)))
    return await asyncio.gather(*waits)


def _part_of(asked: LimitRequest, decision: Decision, subjects: Sequence[Subject], cost: int) -> Decision:
    """The decision as one of the checks sees it: its own subjects, the other checks' units among those used before."""
    is_admitted = decision.status is Status.ADMITTED
    by_name: dict[str, list[LimitState]] = {}
    position = 0
    for subject, total in zip(asked.subjects, asked.costs or (), strict=True):
        length = 1 if subject.bucket else len(subject.windows)
        others = total - cost if is_admitted else 0
        states = decision.states[position : position + length]
        by_name[subject.name] = [LimitState(s.used + others, s.reset_us, s.retry_us) for s in states]
        position += length
    used = decision.used + (asked.cost - cost if is_admitted else 0)
    own = [state for subject in subjects for state in by_name[subject.name]]
    return Decision(decision.status, decision.now_us, used, decision.period, own)
