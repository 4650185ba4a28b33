"""E-mail addresses: what is one, and that one address is one account however it is typed."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import accounts
from portal.accounts.rules import fold_email, normal_email
from portal.accounts.sessions.sign_in import Credentials
from portal.core.database import Database
from portal.core.errors import Conflict, Invalid
from portal.core.ids import new_id
from tests.accounts.sessions.test_sign_in import PASSWORD, sign_up
from tests.throttle import Unlimited

GOOD = [
    "ann@example.com",
    "o'neil+tag=1@mail.example.co.uk",
    "ann.lee_99@xn--bcher-kva.example",
    "zoë@bücher.example",
    "иван@почта.рф",
    "用户@例子.公司",
    "राम@मोहन.ईन्फो",
    "ليلى@مثال.إختبار",
    "a@b.c",
    "x" * 64 + "@example.com",
]
STRANGE = '\u200b\u200c\u200d\u00ad\u202e\u2066\u0000\u0001\x7f\u2028\u3000 \t<>()[],;:"\\\ufeff\U0010ffff\u0378'
BAD = [
    *("", "ann", "@b.de", "ann@", "a b@c.de", "a@b", "a@@b.de", "a@b@c.de", "a@b..de", "a@.de", "a@b.de.", "a@b c.de"),
    *("<script>@x.example", "ann@exa_mple.com", "ann@<b>.example", "x" * 65 + "@example.com", "a@" + "b." * 130 + "de"),
    *("ａｎｎ@example.com", "ann@ｅxample.com", "ﬁn@example.com", "ann@example。com", "ａ@b．c", "ann@ⅷ.com"),
    *(f"an{character}n@example.com" for character in STRANGE),
    *(f"ann@exam{character}ple.com" for character in STRANGE),
]


@pytest.mark.parametrize("email", GOOD)
def test_addresses_of_every_script_are_taken(email: str) -> None:
    assert normal_email(f"  {email.upper()}\n") == normalize("NFC", email.upper().lower())
    assert normal_email(normalize("NFD", email)) == normal_email(email) == normal_email(normal_email(email))


@pytest.mark.parametrize("email", BAD)
def test_what_is_no_address_or_reads_as_another_one_is_refused(email: str) -> None:
    with pytest.raises(Invalid) as refused:
        normal_email(email)
    assert refused.value.path == ("email",)


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_taken_stays_as_it_is(local: str, domain: str) -> None:
    try:
        email = normal_email(f"{local}@{domain}.example")
    except Invalid:
        return
    assert normal_email(email) == email == fold_email(email)
    assert email.isprintable()
    assert " " not in email


async def test_one_address_is_one_account_however_it_is_typed(database: Database) -> None:
    name = new_id("t").lower()
    async with database.transaction() as tx:
        person, _ = await accounts.sign_up(
            tx, accounts.NewAccount(f"Zoë.{name}@bücher.example", PASSWORD, "Zoë", "Acme")
        )
    typed = normalize("NFD", f"zoë.{name}@BÜCHER.example")
    with pytest.raises(Conflict):
        await sign_up(database, typed)
    credentials = Credentials(typed, PASSWORD)
    assert (await accounts.sign_in(database, credentials, Unlimited())).person.id == person.id


async def test_who_signed_up_with_another_form_before_still_signs_in(database: Database) -> None:
    name = new_id("t").lower()
    async with database.transaction() as tx:
        person, _ = await accounts.sign_up(tx, accounts.NewAccount(f"{name}@example.com", PASSWORD, "Zoe", "Acme"))
        person.email = normalize("NFD", f"zoë.{name}@example.com")
        await tx.flush()
    credentials = Credentials(normalize("NFD", f"Zoë.{name}@example.com"), PASSWORD)
    assert (await accounts.sign_in(database, credentials, Unlimited())).person.id == person.id
