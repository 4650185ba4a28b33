"""Devices that have signed in before: a long-lived cookie that the password's hash vouches for, stored nowhere.

A mark is `id.signature`, where the key of the signature derives from the person's stored password hash: it is good for
this person only, and for no longer than this password. The cookie holds the marks of the last few people who used the
browser. It proves nobody's identity and opens nothing: it only tells whose failed tries are counted together.
"""

import hmac
from hashlib import sha256
from secrets import token_hex

from portal.accounts.models import Person

MAX_DEVICE_AGE_DAYS = 400
"""As long as browsers keep a cookie."""
MAX_MARKS = 5
MAX_COOKIE = 1000
_SEPARATOR = "~"
_ID_LENGTH = 24


def find_device(person: Person | None, cookie: str) -> str | None:
    """Return the id of the device if it has signed in as this person with this password before, else None."""
    if person is None or person.password_hash is None or len(cookie) > MAX_COOKIE or not cookie.isascii():
        return None
    for mark in cookie.split(_SEPARATOR)[:MAX_MARKS]:
        device, _, signature = mark.partition(".")
        if len(device) == _ID_LENGTH and hmac.compare_digest(_sign(person, person.password_hash, device), signature):
            return device
    return None


def add_device(person: Person, cookie: str) -> str:
    """Return the cookie of a device on which this person has just signed in, earlier marks kept."""
    if person.password_hash is None or find_device(person, cookie) is not None:
        return cookie
    device = token_hex(_ID_LENGTH // 2)
    earlier = cookie.split(_SEPARATOR)[: MAX_MARKS - 1] if 0 < len(cookie) <= MAX_COOKIE and cookie.isascii() else []
    return _SEPARATOR.join([f"{device}.{_sign(person, person.password_hash, device)}", *earlier])


def _sign(person: Person, password_hash: str, device: str) -> str:
    key = sha256(b"device\0" + password_hash.encode()).digest()
    return hmac.new(key, f"{person.id}\0{device}".encode(), sha256).hexdigest()[:40]
