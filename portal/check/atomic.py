"""Several checks of one account, all or none: their costs are added up for each limit and decided as one."""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from portal.check.checker import MAX_ROUNDS, Checker, CheckUnavailable
from portal.check.denial import add_denial, degraded_limits, denial_of, denied_limits
from portal.check.journal_batch import JournalEntry, usage_record
from portal.check.policy import KeyPolicy, NamedLimit, PreparedPolicy, Rule, rules_for
from portal.check.request import CheckRequest
from portal.check.response import CheckOutcome, CheckResponse, add_limits, build_response, code_of
from portal.check.retries import IdReused, retry_of_atomic
from portal.check.rules import Code, pre_check
from portal.core.concurrency.waiting import wait_for_callback
from portal.core.errors import InvalidBody
from portal.keys import secret_digest, secret_problem
from portal.limits import Decision, LimitRequest, LimitState, LimitsUnavailable, Mode, Quota, Seed, Status, Subject
from portal.usage import DeniedLimit


class _Batch(msgspec.Struct):
    """Checks that are decided as one. `limits`: of `merged`, in the order of its decision's states.

    `denial`: what the pre-checks said of the first that they deny. `entries`: what each is counted with, once admitted.
    """

    checks: list[tuple[KeyPolicy, CheckRequest]]
    merged: LimitRequest
    limits: tuple[NamedLimit, ...]
    denial: Code | None
    entries: list[JournalEntry]

    @property
    def quota(self) -> Quota | None:
        return self.merged.quota


async def check_atomic(checker: Checker, service_token_id: str, requests: Sequence[CheckRequest]) -> list[CheckOutcome]:
    """Decide all or none; return one outcome a request.

    If refused, all carry the code of the refusal, so that none is taken for admitted. An id stands for the whole:
    the same checks again are answered as before, other ones are refused.

    Raises InvalidBody (keys of several accounts, `explain`), IdReused, CheckUnavailable, JournalUnavailable.
    """
    if any(request.explain for request in requests):
        raise InvalidBody("Atomic checks do not take explain - at `$.checks`")
    seed: Seed | None = None
    for _ in range(MAX_ROUNDS):
        policies = [await _find_policy(checker, request) for request in requests]
        known = [policy for policy in policies if policy is not None]
        if len(known) < len(requests):
            return [CheckOutcome(_unknown(checker)) for _ in requests]
        if len({policy.account_id for policy in known}) > 1:
            raise InvalidBody("Atomic checks are of keys of one account - at `$.checks`")
        batch = _merge(checker, service_token_id, [*zip(known, requests, strict=True)], seed)
        try:
            decision = await checker.limiter.decide_one(batch.merged)
            if decision.status is Status.UNSEEDED:
                seed = await checker.load_seed(known[0])
                continue
        except LimitsUnavailable as error:
            return await _answer_degraded(checker, batch, error)
        if decision.status is Status.STALE:
            for policy, request in zip(known, requests, strict=True):
                await checker.policies.reload(secret_digest(request.key), policy)
        elif decision.status is Status.REUSED:
            raise IdReused
        else:
            return await _answer(checker, batch, decision)
    raise CheckUnavailable("the account changes faster than it can be read")


async def _find_policy(checker: Checker, request: CheckRequest) -> KeyPolicy | None:
    if secret_problem(request.key) is not None:
        return None
    cached = await checker.policies.find(secret_digest(request.key))
    return cached.policy if cached else None


def _unknown(checker: Checker) -> CheckResponse:
    return CheckResponse(valid=False, code=Code.NOT_FOUND, request_id=checker.ids.next(checker.ids.now_us()))


def _merge(
    checker: Checker, service_token_id: str, checks: list[tuple[KeyPolicy, CheckRequest]], seed: Seed | None
) -> _Batch:
    """Merge checks: each subject carries the costs of all that it limits; the quota those of live keys."""
    costs: dict[str, int] = {}
    rules: dict[str, Rule] = {}
    for policy, request in checks:
        for rule in rules_for(policy, request.resource):
            rules[rule.subject.name] = rule
            costs[rule.subject.name] = costs.get(rule.subject.name, 0) + request.cost
    live = [(policy, request) for policy, request in checks if policy.quota is not None]
    now_us = checker.ids.now_us()
    denial = next((code for code in (pre_check(*check, now_us) for check in checks) if code is not None), None)
    merged = LimitRequest(
        checks[0][0].account_id,
        min(policy.version for policy, _ in checks),
        Mode.CONSUME if denial is None else Mode.CONFIRM,
        sum(request.cost for _, request in live),
        tuple([rule.subject for rule in rules.values()]),
        live[0][0].quota if live else None,
        seed,
        costs=tuple(costs.values()),
    )
    entries = [
        JournalEntry(checker.ids.next(0), policy.secret_id, request.resource, request.cost, request.ip or "")
        for policy, request in checks
    ]
    merged.retry = retry_of_atomic(service_token_id, [(policy.key_id, request) for policy, request in checks], entries)
    return _Batch(checks, merged, tuple([limit for rule in rules.values() for limit in rule.limits]), denial, entries)


async def _answer(checker: Checker, batch: _Batch, decision: Decision) -> list[CheckOutcome]:
    """Return the outcomes once their rows are written, together."""
    merged, entries = batch.merged, batch.entries
    is_repeated = decision.status is Status.REPEATED
    if is_repeated:
        entries = msgspec.json.decode(decision.blob, type=list[JournalEntry])
        decision = msgspec.structs.replace(decision, status=Status.ADMITTED)
    code = batch.denial or code_of(decision.status)
    is_by_limits = code in (Code.RATE_LIMITED, Code.QUOTA_EXCEEDED)
    limits = denied_limits(batch.limits, decision, batch.quota, merged.cost) if is_by_limits else ()
    waits: list[asyncio.Future[CheckOutcome]] = []
    for (policy, request), entry in zip(batch.checks, entries, strict=True):
        prepared = PreparedPolicy(policy, request.resource)
        entry.request_id = checker.ids.with_time(entry.request_id, decision.now_us)
        response = build_response(policy, code, entry.request_id)
        if is_repeated:
            response.replayed = True
        outcome = CheckOutcome(response, prepared)
        if batch.denial is None:
            outcome.decision = _part_of(batch, decision, prepared.subjects, request.cost)
            add_limits(outcome, request.cost if code is Code.VALID else 0)
        if code is not Code.VALID:
            add_denial(outcome, denial_of(code, policy, request, decision.now_us, limits))
        record = usage_record(policy, outcome, entry, decision.now_us)
        waits.append(wait_for_callback(partial(checker.journal_batch.add, outcome, record)))
    return await asyncio.gather(*waits)


async def _answer_degraded(checker: Checker, batch: _Batch, error: LimitsUnavailable) -> list[CheckOutcome]:
    """Decide by the plan's failure policy, all or none as ever."""
    merged, code = batch.merged, batch.denial
    checker.version_poller.watch(merged.account_id)
    now_us = checker.ids.now_us()
    limits: tuple[DeniedLimit, ...] = ()
    if code is None:
        decision = checker.degraded_decider.decide(batch.checks[0][0], merged, now_us)
        if decision is None:
            raise CheckUnavailable(str(error)) from error
        code = code_of(decision.status)
        if code is not Code.VALID:
            limits = degraded_limits(batch.limits, decision, batch.quota)
    waits: list[asyncio.Future[CheckOutcome]] = []
    for (policy, request), entry in zip(batch.checks, batch.entries, strict=True):
        entry.request_id = checker.ids.next(now_us)
        response = build_response(policy, code, entry.request_id, is_degraded=True)
        outcome = CheckOutcome(response, PreparedPolicy(policy, request.resource))
        if code is not Code.VALID:
            add_denial(outcome, denial_of(code, policy, request, now_us, limits))
        record = usage_record(policy, outcome, entry, now_us)
        waits.append(wait_for_callback(partial(checker.journal_batch.add, outcome, record)))
    return await asyncio.gather(*waits)


def _part_of(batch: _Batch, decision: Decision, subjects: Sequence[Subject], cost: int) -> Decision:
    """Return the decision as one of the checks sees it: its subjects, with the other checks' units as used before.

    Limits that were added or dropped since a repeated answer was decided leave its states without names: it has none.
    """
    merged = batch.merged
    is_named = len(decision.states) == len(batch.limits)
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
    states = [state for subject in subjects for state in by_name[subject.name]] if is_named else []
    return Decision(decision.status, decision.now_us, used, decision.period, states)
