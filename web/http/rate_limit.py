"""Rate-limit headers: draft-ietf-httpapi-ratelimit-headers-11, and the X- forms that old clients read."""


def rate_limit_lines(policies: str, name: str, *, limit: int, remaining: int, reset_seconds: int) -> str:
    """Return header lines about the tightest limit. `policies` and `name` are structured fields, ready to be sent."""
    return (
        f"RateLimit-Policy: {policies}\r\nRateLimit: {name};r={remaining};t={reset_seconds}\r\n"
        f"X-RateLimit-Limit: {limit}\r\nX-RateLimit-Remaining: {remaining}\r\nX-RateLimit-Reset: {reset_seconds}\r\n"
    )


def header_dict(lines: str) -> dict[str, str]:
    """Return header lines as names and values."""
    return dict(line.split(": ", 1) for line in lines.splitlines())
