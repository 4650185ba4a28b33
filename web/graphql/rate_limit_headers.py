"""The headers of a GraphQL allowance, as draft-ietf-httpapi-ratelimit-headers-11 has them, and those of old clients."""

from portal.graphql import RATE_LIMIT_WINDOW_SECONDS, RateLimitResult

POLICY = "graphql"


def allowance_headers(charged: RateLimitResult) -> dict[str, str]:
    """Retry-After only where the allowance was not enough; never earlier than the allowance admits."""
    headers = {
        "RateLimit-Policy": f'"{POLICY}";q={charged.limit};w={RATE_LIMIT_WINDOW_SECONDS}',
        "RateLimit": f'"{POLICY}";r={charged.remaining};t={charged.reset_seconds}',
        "X-RateLimit-Limit": str(charged.limit),
        "X-RateLimit-Remaining": str(charged.remaining),
        "X-RateLimit-Reset": str(charged.reset_seconds),
    }
    if charged.retry_seconds is not None:
        headers["Retry-After"] = str(max(1, charged.retry_seconds))
    return headers
