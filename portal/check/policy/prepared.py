"""What checks of one key and resource have in common, worked out at the first of them."""

from typing import Any

from portal.check.policy.compile import KeyPolicy, limits_of, rules_for
from portal.limits import LimitRequest, Mode, Seed, encode

MAX_COSTS = 8
CONSUME = Mode.CONSUME


class PreparedPolicy:
    """What they are held to: `limits` in the order of a decision's states, and requests ready to be sent.

    `is_plain`: there is nothing in the policy that could deny before the limits. `denials` by cost, see denials.py.
    `told`: what a caller of ours keeps here because it is the same in every answer.
    """

    __slots__ = ("_requests", "denials", "header_cache", "is_plain", "limits", "policy", "subjects")

    def __init__(self, policy: KeyPolicy, resource: str) -> None:
        rules = rules_for(policy, resource)
        self.policy = policy
        self.is_plain = (
            not (policy.is_suspended or policy.is_paused or policy.is_revoked or policy.allowed_ips)
            and policy.expires_us is None
            and policy.secret_ends_us is None
        )
        self.limits = limits_of(rules)
        self.subjects = tuple([rule.subject for rule in rules])
        self.denials: dict[int, Any] = {}
        self.header_cache: Any = None
        self._requests: dict[int, LimitRequest] = {}

    def consume_request(self, cost: int) -> LimitRequest:
        """For the limiter, encoded once: nearly every check costs what the one before did. Not to be changed."""
        request = self._requests.get(cost)
        if request is None:
            request = self.build_request(CONSUME, cost)
            request.encoded = encode(request)
            if len(self._requests) >= MAX_COSTS:
                self._requests.clear()
            self._requests[cost] = request
        return request

    def build_request(self, mode: Mode, cost: int, seed: Seed | None = None) -> LimitRequest:
        policy = self.policy
        return LimitRequest(policy.account_id, policy.version, mode, cost, self.subjects, policy.quota, seed)
