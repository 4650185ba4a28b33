"""Pure rules of accounts: what a password, an e-mail address, a token must look like."""

from collections.abc import Collection
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256
from unicodedata import category, normalize
from zoneinfo import available_timezones

from portal.core.actor import Permission
from portal.core.errors import Invalid
from portal.core.texts import find_text_problem

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
MAX_EMAIL = 254
MAX_LOCAL_PART = 64
_ATOM_SIGNS = frozenset("!#$%&'*+/=?^_`{|}~.-")
"""What stands unquoted before the @ beside letters and digits (RFC 5322, 3.2.3)."""


def fold_email(text: str) -> str:
    """Return an address as it is compared: in lower case and NFC, without spaces around; whatever it is."""
    return normalize("NFC", text.strip()[: MAX_EMAIL * 2].lower())


def normal_email(text: str) -> str:
    """Return the address as it is stored, as `fold_email` does. Raises Invalid for what cannot be an address.

    Letters in another form than the plain one (full-width, ligatures) are refused: they would make another account for
    what reads as the same address.
    """
    email = fold_email(text)
    local, _, domain = email.partition("@")
    labels = domain.split(".")
    is_address = (
        len(email) <= MAX_EMAIL
        and 1 <= len(local) <= MAX_LOCAL_PART
        and all(character in _ATOM_SIGNS or _is_word(character) for character in local)
        and len(labels) > 1
        and all(label and all(character == "-" or _is_word(character) for character in label) for label in labels)
    )
    problem = find_text_problem(email)
    if problem is not None:
        raise Invalid(f"This e-mail address has {problem}.", hint="Leave that character out.", path=("email",))
    if not is_address:
        raise Invalid("This is not an e-mail address.", hint="Write it like name@example.com.", path=("email",))
    if normalize("NFKC", email) != email:
        raise Invalid(
            "This e-mail address has letters in an unusual form.", hint="Type it with plain letters.", path=("email",)
        )
    return email


def _is_word(character: str) -> bool:
    """Return whether it is a letter, mark or digit of some script."""
    return category(character)[0] in "LMN"


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


@lru_cache(maxsize=1)
def list_time_zones() -> tuple[str, ...]:
    """Return the names of all time zones that an account may have, in order."""
    return tuple(sorted(available_timezones() - {"Factory", "localtime"}))


def check_time_zone(name: str) -> str:
    """Return the name of a time zone. Raises Invalid for one that there is not."""
    if name not in list_time_zones():
        raise Invalid(f"There is no time zone {name[:60]!r}.", hint="Name one like Europe/Berlin.", path=("timeZone",))
    return name


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
