"""What a text may contain: every code point by its kind, scripts of the world, names and their length."""

from unicodedata import category, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.errors import Invalid
from portal.core.texts import JOINERS, MAX_NAME, check_name, check_reason, check_text, find_text_problem

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SPACES = " \u00a0\u1680\u2000\u2003\u2009\u202f\u205f\u3000"
FAMILY, PIRATES, RAINBOW = "👩‍👩‍👧‍👦", "🏴‍☠️", "🏳️‍🌈"
GOOD = [
    "GET /東京\u3000駅",
    "می‌خواهم",
    "API‌ها",
    "किताबें क्‍या",
    "ന്‍",
    "ශ්‍රී ලංකා",
    "ភាសា\u200bខ្មែរ",
    "العربية ١٢٣ ؀",
    "עברית",
    "Ελληνικά Ωmega",
    "Юникод",
    "日本語 한국어 中文",
    "ไทย ລາວ မြန်မာ",
    "Zürich Œuvre ﬁ",
    "e\u0301 as two",
    FAMILY,
    "👩🏽‍🚀🙂‍↔️",
    RAINBOW,
    PIRATES,
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "1️⃣ ☎️ ✔︎",
    "𓀀𓀁 𐎀 𠮷",
    "\ue000 of private use",
    "".join(f"a{space}" for space in SPACES) + "b",
    "",
]
BAD = [
    ("a\x00b", "0000"),
    ("tab\tbed", "0009"),
    ("line\nend", "000A"),
    ("\x7f", "007F"),
    ("\x85", "0085"),
    ("a\ud800b", "D800"),
    ("a\u2028b", "2028"),
    ("a\u2029b", "2029"),
    ("a\u0378b", "0378"),
    ("a\uffffb", "FFFF"),
    ("\U0010ffff", "10FFFF"),
    ("pay\u200dpal", "200D"),
    ("pay\u200cpal", "200C"),
    ("pay\u200bpal", "200B"),
    ("\u200dخ", "200D"),
    ("خ \u200dخ", "200D"),
    ("خ\u200d", "200D"),
    ("👩\u200d", "200D"),
    ("خ\u200d\u200dخ", "200D"),
    ("soft\u00adhyphen", "00AD"),
    ("\ufeffmark", "FEFF"),
    ("word\u2060joiner", "2060"),
    ("hidden \U000e0068\U000e0069", "E0068"),
    ("🏴\U000e0067\U000e0062", "E0067"),
    *((f"a{character}b", f"{ord(character):04X}") for character in BIDI),
]


@pytest.mark.parametrize("text", GOOD)
def test_scripts_spaces_and_graphemes_of_the_world_are_taken_as_they_are(text: str) -> None:
    assert find_text_problem(text) is None
    assert check_text(text, "resource") == text


@pytest.mark.parametrize(("text", "code_point"), BAD)
def test_what_nobody_sees_is_refused_with_its_code_point(text: str, code_point: str) -> None:
    problem = find_text_problem(text)
    assert problem is not None
    assert problem.endswith(f"U+{code_point}")
    with pytest.raises(Invalid, match=f"U\\+{code_point}") as refused:
        check_text(text, "resource")
    assert refused.value.path == ("resource",)


def test_every_code_point_is_decided_by_its_kind() -> None:
    """All 1,114,112: refused are Cc, Cs, Cn, Zl, Zp and bidirectional controls; taken everything that can be seen."""
    for number in range(0x110000):
        character = chr(number)
        kind, problem = category(character), find_text_problem(f"a{character}b")
        if kind in ("Cc", "Cs", "Cn", "Zl", "Zp") or character in BIDI:
            assert problem is not None, hex(number)
        elif kind != "Cf":
            assert problem is None, (hex(number), problem)


@given(st.text(st.characters(), max_size=40))
def test_a_text_is_taken_whatever_stands_around_it_or_says_why_not(text: str) -> None:
    problem = find_text_problem(text)
    if problem is None:
        assert not any(category(character) in ("Cc", "Cs", "Cn", "Zl", "Zp") for character in text)
        assert find_text_problem(f"{text} {text}") is None or any(joiner in text for joiner in JOINERS)
    else:
        assert "U+" in problem


@pytest.mark.parametrize(
    "name", ["Checkout", FAMILY, "می‌خواهم", "東京\u3000駅", "a" * MAX_NAME, "𠮷" * MAX_NAME, "—", "☕"]
)
def test_names_have_one_to_a_hundred_code_points(name: str) -> None:
    assert check_name(f" \u3000{name}\n") == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "\u3000", "a" * (MAX_NAME + 1), "\u3164", "\u0301", "\ufe0f", "\u2800", "a\u202eb", "a\nb", "x" * 10**6],
)
def test_names_that_show_nothing_or_too_much_are_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_name(name, "accountName")
    assert refused.value.path == ("accountName",)


def test_names_are_brought_into_nfc_and_long_runs_of_marks_are_not_sorted() -> None:
    assert check_name("Zu\u0308rich") == "Zürich"
    assert check_name("e\u0301" * MAX_NAME) == "é" * MAX_NAME
    with pytest.raises(Invalid):
        check_name("a" + "\u0301\u0316" * 500_000)
    assert check_text("Zu\u0308rich", "resource") == "Zu\u0308rich"
    assert normalize("NFC", check_name("\u0958" * 40)) == "\u0915\u093c" * 40


def test_reasons_may_have_lines_and_are_cut() -> None:
    assert check_reason(" leaked\non GitHub\t\r\n", 500) == "leaked\non GitHub"
    assert check_reason("x" * 600, 500) == "x" * 500
    assert check_reason(None, 500) == ""
    with pytest.raises(Invalid):
        check_reason("a\x00", 500)
