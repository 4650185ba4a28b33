"""Addresses and networks: one form for storing and comparing, and nothing that means more than it seems to."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.addresses import InvalidAddress, is_in_networks, parse_address, parse_network, stored_networks

PLAIN_IPV6 = st.ip_addresses(v=6, network="2000::/3")
ADDRESSES = st.one_of(st.ip_addresses(v=4), PLAIN_IPV6)


def mapped(address: IPv4Address) -> str:
    return f"::ffff:{address}"


@given(st.ip_addresses(v=4))
def test_an_address_written_as_ipv6_is_its_ipv4_address(address: IPv4Address) -> None:
    number = int(address)
    for text in (str(address), mapped(address), f"::FFFF:{number >> 16:x}:{number & 0xFFFF:x}"):
        assert parse_address(text) == address
        assert str(parse_network(text)) == f"{address}/32"


@given(st.ip_addresses(v=6))
def test_every_spelling_of_an_address_is_one(address: IPv6Address) -> None:
    for text in (str(address), address.exploded, address.exploded.upper()):
        assert parse_address(text) == (address.ipv4_mapped or address)


@given(ADDRESSES, st.integers(0, 128))
def test_what_is_stored_holds_itself_in_every_spelling(address: IPv4Address | IPv6Address, length: int) -> None:
    length = min(length, address.max_prefixlen)
    network = ip_network(f"{address}/{length}", strict=False)
    stored = (str(parse_network(str(network))),)
    assert is_in_networks(parse_address(str(address)), stored_networks(stored))
    if isinstance(address, IPv4Address):
        again = str(parse_network(f"::ffff:{network.network_address}/{length + 96}"))
        assert (again,) == stored
        assert is_in_networks(parse_address(mapped(address)), stored_networks(stored))


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "x", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 5", "0x7f.0.0.1", "2130706433"),
        *(
            "::1%eth0",
            "::1%\x00",
            "fe80::1%<script>",
            "::1%",
            "1.2.3.4%1",
            ":::",
            "1::2::3",
            "g::1",
            "[::1]",
            "1.2.3.4:80",
        ),
        *("١.2.3.4", "１.2.3.4", "::1\n", "\u202e::1", "::ffff:300.1.1.1", "a" * 65, "::1%" + "z" * 60),
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_address(text)
    if text.strip() == text:
        with pytest.raises(InvalidAddress):
            parse_network(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/8", "10.0.0.0/8"),
        ("::ffff:203.0.113.7/120", "203.0.113.0/24"),
        ("1.2.3.4/0", "0.0.0.0/0"),
        ("10.0.0.0/255.0.0.0", "203.0.113.0/24"),
        ("10.0.0.0/0.255.255.255", "203.0.113.0/24"),
        ("10.0.0.0/33", "203.0.113.0/24"),
        ("::/129", "203.0.113.0/24"),
        ("10.0.0.0/", "203.0.113.0/24"),
        ("10.0.0.0/8/8", "203.0.113.0/24"),
        ("10.0.0.0/-1", "203.0.113.0/24"),
        ("10.0.0.0/٨", "203.0.113.0/24"),
        ("fe80::1%eth0/64", "203.0.113.0/24"),
        ("fe80::%1/64", "203.0.113.0/24"),
    ],
)
def test_a_notation_that_would_widen_is_refused_with_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(InvalidAddress) as refused:
        parse_network(text)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("stored", "address", "is_inside"),
    [
        ("::ffff:cb00:7107/128", "203.0.113.7", True),
        ("::ffff:cb00:7100/120", "::ffff:203.0.113.99", True),
        ("::ffff:cb00:7100/120", "203.0.114.1", False),
        ("203.0.113.0/24", "::ffff:203.0.113.7", True),
        ("::/0", "203.0.113.7", False),
        ("0.0.0.0/0", "::ffff:1.2.3.4", True),
        ("0.0.0.0/0", "::1", False),
    ],
)
def test_lists_that_were_stored_before_are_compared_in_one_form(stored: str, address: str, is_inside: bool) -> None:
    assert is_in_networks(parse_address(address), stored_networks((stored,))) is is_inside


@given(st.text(max_size=50))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with suppress(InvalidAddress):
        address = parse_address(text)
        assert ip_address(str(address)) == address
