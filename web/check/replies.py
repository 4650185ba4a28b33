"""What a check route sends back, apart from how it travels: a status, headers, a body."""

from collections.abc import Sequence
from typing import Any

import msgspec

from portal.check import CheckOutcome, CheckResponse, Code, IdReused, SettleRequest, reason_of
from web.check.headers import rate_limit_headers

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


def plain_reply(outcome: CheckOutcome) -> Reply:
    """Return the reply of /check: 200 for every code."""
    return Reply(200, encode(outcome.response), JSON, rate_limit_headers(outcome))


def native_reply(outcome: CheckOutcome) -> Reply:
    """Return the reply of /check/http: native statuses; denials are problem documents."""
    status = STATUS[outcome.response.code]
    if status == 200:
        return plain_reply(outcome)
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
