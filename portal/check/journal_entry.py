"""What a check leaves in the usage journal."""

import msgspec

from portal.check.answer import CheckResponse
from portal.check.policy.compile import KeyPolicy, period_at
from portal.check.rules import Code
from portal.usage import UsageRecord

_TEXTS = {code: code.value for code in Code}


class JournalEntry(msgspec.Struct, array_like=True, gc=False):
    """What a check is counted with; kept for its retries where it has an id."""

    request_id: str
    secret_id: str
    resource: str
    cost: int
    ip: str = ""


def usage_record(
    policy: KeyPolicy, answer: CheckResponse, first: JournalEntry, now_us: int, period: int = -1
) -> UsageRecord | None:
    """One row of usage; a look (cost 0) leaves none. `period`: which of the policy's; -1: the script was not asked."""
    if first.cost == 0:
        return None
    return UsageRecord(
        answer.request_id,
        policy.account_id,
        policy.key_id,
        first.secret_id,
        policy.environment,
        first.resource,
        _TEXTS[answer.code],
        first.cost,
        period_at(policy, now_us) if period < 0 else policy.periods[period][0],
        first.ip,
    )
