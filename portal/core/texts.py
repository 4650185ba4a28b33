"""What a text from outside may contain, decided once: for checks, usage events, names, e-mail addresses, imports.

Refused is what a reader cannot see, or what makes a text read as another one: controls, surrogates, code points that
Unicode has not assigned (as of the version that Python knows), the line and paragraph separators U+2028 and U+2029,
bidirectional controls, and invisible format characters. Allowed are all scripts, the spaces of the world (U+00A0,
U+3000, …), and the joiners U+200C and U+200D where they join: in Persian and Indic words, and in emoji families; so is
U+200B between the letters of scripts that write no spaces between words, like Khmer.

Lengths are counted in code points. Names and e-mail addresses are brought into form NFC; resources and ids never are:
they are what the caller's own systems compare byte by byte.
"""

import re
from unicodedata import category, combining, is_normalized, normalize

from portal.core.errors import Invalid

MAX_NAME = 100
MAX_EXPANSION = 4
"""A longer text than this many times its bound is not normalized first, which takes quadratic time over many marks."""
JOINERS = "\u200b\u200c\u200d"
_WORD_BREAK = "\u200b"
_VIRAMA = 9
_BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Flags of parts of countries: a black flag, then tag characters with the end tag behind.
_TAGGED_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,10}\U000e007f")
# The format characters (Cf) that can be seen, or that shape what can be: Arabic number signs, Egyptian hieroglyphs, ….
_VISIBLE_FORMAT = re.compile(
    "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U00013438\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a]"
)
# Letters and symbols of other categories that show nothing by themselves: fillers, and the blank of Braille.
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
_NAMES = {"Cc": "the control character", "Cs": "the surrogate", "Cn": "the unassigned code point"}


def find_text_problem(text: str) -> str | None:
    """Return what a text holds that none may, as words with its code point, or None where it is fine."""
    if text.isprintable():
        return None  # nothing but letters, marks, digits, punctuation, symbols and plain spaces
    text = _TAGGED_FLAG.sub("\U0001f3f4", text)
    for at, character in enumerate(text):
        problem = None if character.isprintable() else _find_problem(text, at)
        if problem is not None:
            return f"{problem} U+{ord(character):04X}"
    return None


def check_text(text: str, path: str) -> str:
    """Return the text as it is. Raises Invalid, with the code point, for what no text may hold."""
    problem = find_text_problem(text)
    if problem is not None:
        raise Invalid(f"This text has {problem}.", hint="Leave that character out.", path=(path,))
    return text


def check_name(name: str, path: str = "name") -> str:
    """Return a name in NFC without the spaces around it. Raises Invalid unless it has 1 to 100 visible characters."""
    text = normal_text(name, MAX_NAME)
    if text is None or not 1 <= len(text) <= MAX_NAME or not any(map(_is_visible, text)):
        raise Invalid(f"A name has 1 to {MAX_NAME} visible characters.", path=(path,))
    problem = find_text_problem(text)
    if problem is not None:
        raise Invalid(f"This name has {problem}.", hint="Leave that character out.", path=(path,))
    return text


def check_reason(reason: str | None, most: int, path: str = "reason") -> str:
    """Return a reason without the spaces around it, cut to `most` characters; line ends and tabs may be in it.

    Raises Invalid, with the code point, for what no text may hold.
    """
    text = (reason or "").strip()[:most].rstrip()
    check_text(re.sub("[\t\n\r]", " ", text), path)
    return text


def normal_text(text: str, most: int) -> str | None:
    """Return a text in NFC without the spaces around it, or None for one that is far longer than `most` characters."""
    stripped = text.strip()
    if len(stripped) > most * MAX_EXPANSION:
        return None
    return stripped if is_normalized("NFC", stripped) else normalize("NFC", stripped)


def _find_problem(text: str, at: int) -> str | None:
    """Return what is wrong with a character that Python does not call printable."""
    character = text[at]
    kind = category(character)
    if kind in _NAMES:
        return _NAMES[kind]
    if kind in ("Zl", "Zp"):
        return "the line separator"
    if _BIDI_CONTROLS.match(character):
        return "the bidirectional control"
    if character in JOINERS:
        return None if _joins(text, at) else "a joiner that joins nothing,"
    if kind == "Cf" and not _VISIBLE_FORMAT.match(character):
        return "the invisible character"
    return None  # a space of the world, or of private use


def _joins(text: str, at: int) -> bool:
    """Return whether a joiner shapes what stands around it: after a virama, or between letters, marks and emoji.

    One of the two must be of a kind that joins, for a break between words both. Between two Latin letters it would only
    hide.
    """
    if at == 0:
        return False
    before = text[at - 1]
    if combining(before) == _VIRAMA and text[at] != _WORD_BREAK:
        return True
    if at + 1 == len(text):
        return False
    after = text[at + 1]
    if text[at] == _WORD_BREAK:
        return _can_join(before) and _can_join(after)
    return category(before)[0] in "LMNS" and category(after)[0] in "LMNS" and (_can_join(before) or _can_join(after))


def _can_join(character: str) -> bool:
    return category(character) in ("Lo", "Mn", "Mc", "So", "Sk")


def _is_visible(character: str) -> bool:
    return category(character)[0] not in "ZMC" and character not in _BLANK
