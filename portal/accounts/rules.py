"""Pure rules of accounts: what a password, an e-mail address, a token must look like."""

import re
from collections.abc import Collection
from datetime import timedelta
from hashlib import sha256

from portal.core.actor import Permission
from portal.core.errors import Invalid

MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 128
MAX_IDLE_TIME = timedelta(minutes=30)
MAX_SESSION_AGE = timedelta(hours=12)
SEEN_STEP = timedelta(minutes=1)
"""How long a session lasts unused, how long at most, and how precisely its last use is stored."""
COMMON_PASSWORDS = frozenset(
    [
        "12345678",
        "123456789",
        "1234567890",
        "password",
        "password1",
        "password123",
        "qwertyui",
        "qwertyuiop",
        "iloveyou",
        "11111111",
        "00000000",
        "abcd1234",
        "abc12345",
        "letmein1",
        "welcome1",
        "admin123",
        "sunshine",
        "princess",
        "football",
        "baseball",
        "superman",
        "trustno1",
        "qwerty123",
        "1q2w3e4r",
        "1qaz2wsx",
        "passw0rd",
        "p@ssw0rd",
        "changeme",
        "87654321",
        "asdfghjk",
        "zxcvbnm1",
        "whatever",
        "computer",
    ]
)
_EMAIL = re.compile(r"^[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+$")


def normal_email(text: str) -> str:
    """Return the address in lower case without spaces around. Raises Invalid for what cannot be an address."""
    email = text.strip().lower()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise Invalid("This is not an e-mail address.", hint="Write it like name@example.com.", path=("email",))
    return email


def check_password(password: str, email: str = "") -> None:
    """Refuse a password that is too short, too long or common. There are no composition rules. Raises Invalid."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Invalid(
            f"The password has {len(password)} characters; it needs at least {MIN_PASSWORD_LENGTH}.",
            hint="15 or more are better.",
            path=("password",),
        )
    if len(password) > MAX_PASSWORD_LENGTH:
        raise Invalid(f"The password is longer than {MAX_PASSWORD_LENGTH} characters.", path=("password",))
    if password.lower() in COMMON_PASSWORDS or (email and password.lower() in {email, email.split("@")[0]}):
        raise Invalid("This password is easy to guess.", hint="Choose another one.", path=("password",))


def token_digest(token: str) -> bytes:
    """Return what is stored of a token. 256 random bits need neither salt nor stretching."""
    return sha256(token.encode()).digest()


def failure_delay_seconds(failures: int) -> int:
    """Return how long to wait after so many wrong passwords: nothing for 5, then 1 s doubling to 15 min."""
    return 0 if failures < 5 else min(15 * 60, 2 ** min(failures - 5, 20))


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device_name(user_agent: str | None) -> str:
    """Return what people call it: "Firefox on Linux". A hint to recognize sessions by, never a proof."""
    text = user_agent or ""
    browser = next((name for mark, name in _BROWSERS if mark in text), "")
    system = next((name for mark, name in _SYSTEMS if mark in text), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "Unknown device"


def check_scopes(scopes: Collection[str] | None) -> list[str] | None:
    """Return names of permissions, sorted; None means all that the role allows. Raises Invalid."""
    if scopes is None:
        return None
    known = {permission.value for permission in Permission}
    unknown = sorted(set(scopes) - known)
    if unknown:
        raise Invalid(
            f"There is no scope {unknown[0][:50]!r}.", hint=f"There are: {', '.join(sorted(known))}.", path=("scopes",)
        )
    if not scopes:
        raise Invalid("A token without any scope can do nothing.", hint="Choose at least one.", path=("scopes",))
    return sorted(set(scopes))
