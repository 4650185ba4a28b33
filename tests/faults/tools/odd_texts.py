"""Texts that somebody might send: scripts of the world, what nobody sees, what is too long, what is no Unicode."""

import json
from random import Random

POOLS = (
    "abcXYZ019 /-_.:*",
    "éßøÅ\u0308ﬁŒ",
    "東京\u3000駅한국어中文𠮷",
    "می\u200cخواهم\u0600٣",
    "क्\u200dषകിന്\u200d",
    "ភាសា\u200b",
    "👩\u200d👧🏽🏴\U000e0067\U000e007f❤\ufe0f🙂",
    "\u0000\u0001\t\n\r\u001b\u007f\u0085\u009f",
    "\u2028\u2029\u200e\u200f\u202a\u202e\u2066\u2069\u061c",
    "\u00ad\u200b\u200c\u200d\u2060\ufeff\U000e0041",
    "\ud800\udfff\udc00",
    "\u0378\uffff\U0010ffff\U000e0fff\ue000",
    "\u0301\u0316\u20dd\ufe0f",
    "\u00a0\u1680\u2003\u202f\u205f",
    "\"\\'<>&%\u0060${}[]",
)
ADDRESSES = (
    *("203.0.113.7", "::1", "2001:DB8::1", "::ffff:203.0.113.7", "0:0:0:0:0:FFFF:CB00:7107", "::1%eth0", "::1%\x00"),
    *("fe80::1%\u202e", "1.2.3.4/8", "010.1.1.1", "1.2.3", "2130706433", "[::1]", "1.2.3.4:80", "::1% ", "::1\n"),
    *("١.٢.٣.٤", "::ffff:1.2.3.4%x", "1.2.3.4\x00", "::" + "0" * 70, "::1%" + "a" * 59),
)


def odd_text(random: Random, longest: int) -> str:
    """Mostly short, mostly of one or two kinds; now and then one too long by a little or by much."""
    if random.random() < 0.03:
        return random.choice(("x", "𠮷", "é", "\u0301")) * random.choice((longest, longest + 1, longest * 4))
    pools = random.choices(POOLS, k=random.choice((1, 1, 2, 3)))
    return "".join(random.choice(random.choice(pools)) for _ in range(random.randrange(12)))


def odd_address(random: Random) -> str:
    """An address as somebody may write it, or what is none."""
    if random.random() < 0.7:
        return random.choice(ADDRESSES)
    return odd_text(random, 64)


def written(random: Random, document: object) -> bytes:
    """Return JSON in one of the ways to write it; lone surrogates always as escapes, some of them as bytes too."""
    try:
        return json.dumps(document, ensure_ascii=random.random() < 0.5).encode()
    except UnicodeEncodeError:
        is_raw = random.random() < 0.3
        return json.dumps(document, ensure_ascii=not is_raw).encode(errors="surrogatepass")
