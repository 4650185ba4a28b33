"""What a check route sends back, apart from how it travels: a status, headers, a body.

Rate limits: draft-ietf-httpapi-ratelimit-headers-11, and the X- forms that old clients read.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import Any

import msgspec

from portal.check import CheckOutcome, CheckResponse, Code, IdReused, PreparedPolicy, SettleRequest, reason_of
from portal.usage import QUOTA, DeniedLimit
from web.http.rate_limit import rate_limit_lines

Described = tuple[str, int, int, int]
"""What `RateLimit` and `X-RateLimit-*` say: name, limit, units that remain, seconds until more of them do."""


def rate_limit_headers(outcome: CheckOutcome) -> bytes:
    """Return the lines of a head; none where no limit was asked.

    That is so for unknown keys, denials before the limits by an account's others, and answers without Redis. Of the
    last, those that deny by this process's part of a limit say when to try again. `RateLimit` describes, of what
    denies, the limit with the longest wait; otherwise the tightest: the smallest part left, and of equal ones that
    which stays so for longest.
    """
    response, prepared = outcome.response, outcome.prepared
    wait_ms = response.retry_after_ms
    if prepared is None or not (response.limits or response.quota):
        return b"" if wait_ms is None else b"Retry-After: %d\r\n" % -(-wait_ms // 1000)
    policies, hard = prepared.header_cache or _fill_header_cache(prepared)
    denial = outcome.denial
    violated = None if denial is None else _violated(outcome, prepared, denial.limits)
    if violated is not None:
        name, limit, remaining, reset_s = violated
    else:
        name = None
        if response.limits:
            first = response.limits[0]
            name, limit, remaining, reset_s = first.name, first.limit, first.remaining, -(-first.reset_ms // 1000)
        if hard is not None and response.quota is not None:
            quota_remaining = response.quota.remaining or 0
            quota_left, left = quota_remaining / max(hard, 1), remaining / limit if name is not None else inf
            if quota_left <= left:
                period_end_s = _seconds_to_period_end(outcome, prepared)
                if quota_left < left or period_end_s > reset_s:
                    name, limit, remaining, reset_s = QUOTA, hard, quota_remaining, period_end_s
        if name is None:
            return b""
    text = rate_limit_lines(policies, _quoted(name), limit=limit, remaining=remaining, reset_seconds=reset_s)
    if wait_ms is not None:
        text += f"Retry-After: {max(-(-wait_ms // 1000), reset_s)}\r\n"
    return text.encode()


def batch_headers(outcomes: Sequence[CheckOutcome]) -> bytes:
    """Return the headers of the worst item: the denied one that waits longest, else the one with the least left."""
    worst, least = None, inf
    for outcome in outcomes:
        denial = outcome.denial
        if denial is not None and denial.limits:
            return rate_limit_headers(max(outcomes, key=_wait))
        response = outcome.response
        limits, quota = response.limits, response.quota
        if not (limits or quota):
            continue
        left = limits[0].remaining / limits[0].limit if limits else 1.0
        if quota is not None and quota.limit and quota.remaining is not None:
            quota_left = quota.remaining / quota.limit
            if quota_left < left and _hard_quota(outcome.prepared) is not None:
                left = quota_left
        if left < least:
            worst, least = outcome, left
    return b"" if worst is None else rate_limit_headers(worst)


def _wait(outcome: CheckOutcome) -> tuple[float, bool]:
    """Return what orders denied items: how long they wait, then whether the limit is one of theirs.

    All items of a refused atomic batch wait alike: the headers are of one that the limit is a limit of.
    """
    denial, prepared = outcome.denial, outcome.prepared
    if denial is None or not denial.limits:
        return -1.0, False
    wait_ms = denial.limits[0].retry_ms
    has_limit = prepared is not None and _violated(outcome, prepared, denial.limits) is not None
    return inf if wait_ms is None else wait_ms, has_limit


def _violated(outcome: CheckOutcome, prepared: PreparedPolicy, denied: Sequence[DeniedLimit]) -> Described | None:
    """Return the violated limit with the longest wait; None where this item of an atomic batch has none of them."""
    for limit in denied:
        if limit.window_ms == 0:
            if outcome.response.quota is not None:
                return limit.name, limit.limit, limit.remaining or 0, _seconds_to_period_end(outcome, prepared)
            continue
        for entry in outcome.response.limits:
            if entry.name == limit.name:
                return entry.name, entry.limit, entry.remaining, -(-entry.reset_ms // 1000)
    return None


def _fill_header_cache(prepared: PreparedPolicy) -> tuple[str, int | None]:
    """Return the policies and the hard quota, the same in every answer, and store them in `header_cache`."""
    hard = _hard_quota(prepared)
    policies = [f"{_quoted(limit.name)};q={limit.amount};w={-(-limit.window_ms // 1000)}" for limit in prepared.limits]
    if hard is not None:
        policies.append(f"{_quoted(QUOTA)};q={hard}")
    header_cache = ", ".join(policies), hard
    prepared.header_cache = header_cache
    return header_cache


def _hard_quota(prepared: PreparedPolicy | None) -> int | None:
    """Return the quota where it denies; None with overage, without a limit, and for test keys."""
    quota = prepared.policy.quota if prepared is not None else None
    return None if quota is None or quota.amount < 0 else quota.amount


def _seconds_to_period_end(outcome: CheckOutcome, prepared: PreparedPolicy) -> int:
    assert outcome.decision is not None  # noqa: S101 a quota was decided
    _, _, end_us = prepared.policy.periods[outcome.decision.period]
    return -(-(end_us - outcome.decision.now_us) // 1_000_000)


@lru_cache(maxsize=10_000)
def _quoted(name: str) -> str:
    """Return a structured-fields string; names are printable ASCII by the catalogue's rule."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
ABOUT_BLANK = "about:blank"
QUOTA_EXCEEDED_TYPE = "https://iana.org/assignments/http-problem-types#quota-exceeded"
ID_REUSED = "id-reused"
ID_REUSED_TYPE = f"urn:portal:problem:{ID_REUSED}"
STATUS = {
    Code.NOT_FOUND: 401,
    Code.DISABLED: 401,
    Code.REVOKED: 401,
    Code.EXPIRED: 401,
    Code.ACCOUNT_SUSPENDED: 403,
    Code.IP_NOT_ALLOWED: 403,
    Code.INSUFFICIENT_SCOPE: 403,
    Code.RATE_LIMITED: 429,
    Code.QUOTA_EXCEEDED: 429,
    Code.VALID: 200,
    Code.EXPLAINED: 200,
}
TITLE = {
    Code.NOT_FOUND: "Unknown API key",
    Code.DISABLED: "This API key is paused",
    Code.REVOKED: "This API key is revoked",
    Code.EXPIRED: "This API key has expired",
    Code.ACCOUNT_SUSPENDED: "The account is suspended",
    Code.IP_NOT_ALLOWED: "This address may not use the API key",
    Code.INSUFFICIENT_SCOPE: "The API key lacks a scope",
    Code.RATE_LIMITED: "Too many requests",
    Code.QUOTA_EXCEEDED: "The monthly quota is used up",
}
encode = msgspec.json.Encoder().encode


class Reply(msgspec.Struct, gc=False, frozen=True):
    """`headers`: lines of the head, ready to be sent. `is_last`: the connection ends with it."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: bytes = b""
    is_last: bool = False


def always_200_reply(outcome: CheckOutcome) -> Reply:
    """Return the reply of /check: 200 for every code."""
    return Reply(200, encode(outcome.response), JSON, rate_limit_headers(outcome))


def native_status_reply(outcome: CheckOutcome) -> Reply:
    """Return the reply of /check/http: native statuses; denials are problem documents."""
    status = STATUS[outcome.response.code]
    if status == 200:
        return always_200_reply(outcome)
    body: dict[str, Any] = msgspec.to_builtins(outcome.response)
    body["type"] = QUOTA_EXCEEDED_TYPE if status == 429 else ABOUT_BLANK
    body["title"], body["status"] = TITLE[outcome.response.code], status
    reason = reason_of(outcome.response.code, outcome.denial)
    body["detail"] = f"{reason.what} {reason.remedy}" if reason.remedy else reason.what
    return Reply(status, encode(body), PROBLEM_JSON, rate_limit_headers(outcome))


def batch_reply(results: Sequence[CheckResponse | msgspec.Raw], headers: bytes) -> Reply:
    """Return the reply of /check/batch: the results in the order of the checks."""
    return Reply(200, encode({"results": results}), JSON, headers)


def settled_reply(request: SettleRequest) -> Reply:
    """Return the reply of /check/settle: what was requested, done."""
    return Reply(200, encode({"requestId": request.request_id, "cost": request.cost, "settled": True}))


def problem(status: int, title: str, detail: str, *, headers: bytes = b"", is_last: bool = False) -> Reply:
    """Return a problem document (RFC 9457); `detail` says what happened and what to do next."""
    body = {"type": ABOUT_BLANK, "title": title, "status": status, "detail": detail}
    return Reply(status, encode(body), PROBLEM_JSON, headers, is_last)


def id_reused(error: IdReused) -> Reply:
    body = {"type": ID_REUSED_TYPE, "title": "Id used for another check", "status": 409, "code": ID_REUSED}
    return Reply(409, encode(body | {"detail": str(error)}), PROBLEM_JSON)


def no_token() -> Reply:
    return problem(
        401,
        "No valid service token",
        "Send a service token as Authorization: Bearer svc_…; `portal token create --service NAME` makes one.",
        headers=b'WWW-Authenticate: Bearer realm="check"\r\n',
    )


def not_allowed() -> Reply:
    return problem(405, "Method not allowed", "A check is a POST with a JSON body.", headers=b"Allow: POST\r\n")


def too_large(max_bytes: int) -> Reply:
    return problem(413, "Body too large", f"This body has at most {max_bytes} bytes.", is_last=True)


def wrong_type() -> Reply:
    return problem(415, "Wrong content type", "Send the check as Content-Type: application/json.")


def malformed(reason: str) -> Reply:
    return problem(400, "Malformed JSON", f"The body is not valid JSON: {reason}.")


def invalid(reason: str) -> Reply:
    return problem(422, "Invalid value", f"{reason}. The documentation of POST /check lists its fields.")


def unavailable(reason: str) -> Reply:
    return problem(
        503,
        "No decision possible",
        f"Nothing was counted: {reason}. Retry in a second; whether the call passes meanwhile is the gateway's choice.",
        headers=b"Retry-After: 1\r\n",
    )


def our_fault() -> Reply:
    return problem(500, "Internal error", "Something went wrong on our side and was logged. Nothing was answered.")
