"""Callers behind proxies: what listed ones wrote is believed, from the right, and nothing that a caller invents."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.errors import StartupError
from portal.core.proxies import TrustedProxies
from portal.core.settings import load_settings

CALLER, CLAIMED, PROXY, INNER = "203.0.113.7", "198.51.100.9", "10.0.0.3", "10.0.0.2"
LISTED = TrustedProxies.parse(["10.0.0.0/8", "2001:db8:aaaa::/48"])
ONE, TWO = TrustedProxies.parse(["1"]), TrustedProxies.parse(["2"])
NOBODY = TrustedProxies()


@pytest.mark.parametrize(
    ("proxies", "peer", "nodes", "caller"),
    [
        (NOBODY, PROXY, [CALLER], PROXY),
        (LISTED, CALLER, [CLAIMED], CALLER),
        (LISTED, PROXY, [], PROXY),
        (LISTED, PROXY, [CALLER], CALLER),
        (LISTED, PROXY, [CLAIMED, CALLER], CALLER),
        (LISTED, PROXY, [CLAIMED, CALLER, INNER], CALLER),
        (LISTED, PROXY, [INNER, CALLER], CALLER),
        (LISTED, PROXY, [INNER], INNER),
        (LISTED, PROXY, [CALLER, "unknown"], PROXY),
        (LISTED, PROXY, [CALLER, "nonsense", INNER], INNER),
        (LISTED, PROXY, ["2001:db8::9"], "2001:db8::9"),
        (LISTED, "2001:db8:aaaa::1", [CALLER], CALLER),
        (LISTED, "::ffff:10.0.0.3", [f"::ffff:{CALLER}"], CALLER),
        (ONE, CLAIMED, [CALLER], CALLER),
        (ONE, PROXY, [CLAIMED, CALLER], CALLER),
        (TWO, PROXY, [CLAIMED, CALLER, INNER], CALLER),
        (TWO, PROXY, [CALLER], CALLER),
        (TrustedProxies.parse(["10.0.0.0/8", "1"]), PROXY, [CALLER, INNER], INNER),
        (LISTED, None, [CALLER], None),
    ],
)
def test_the_chain_is_read_from_the_right(
    proxies: TrustedProxies, peer: str | None, nodes: list[str], caller: str | None
) -> None:
    quoted = [f'"[{node}]"' if ":" in node else node for node in nodes]
    lists = [", ".join(nodes)] if nodes else []
    forwarded = [",".join(f"proto=https;For={node};by=x" for node in quoted)] if nodes else []
    assert proxies.find_caller(peer, lists, []) == caller
    assert proxies.find_caller(peer, [*nodes], []) == caller, "a line each"
    assert proxies.find_caller(peer, [], forwarded) == caller
    assert proxies.find_caller(peer, lists, forwarded) == caller


@pytest.mark.parametrize("node", ["203.0.113.7:4711", '"203.0.113.7:_x"', '"203.0.113.7"', '"203.0.113.7" ;'])
def test_ports_and_quotes_are_no_part_of_an_address(node: str) -> None:
    assert LISTED.find_caller(PROXY, [], [f"for={node}"]) == CALLER
    assert LISTED.find_caller(PROXY, ["203.0.113.7:4711"], []) == CALLER
    assert LISTED.find_caller(PROXY, ["[2001:db8::9]:1"], []) == "2001:db8::9"


def test_of_two_headers_that_disagree_neither_is_believed() -> None:
    assert LISTED.find_caller(PROXY, [CALLER], [f"for={CLAIMED}"]) == PROXY
    assert LISTED.find_caller(PROXY, [CALLER], [f"for={CALLER}"]) == CALLER
    assert LISTED.find_caller(PROXY, [CALLER], ["proto=https"]) == PROXY


FRAGMENTS = (
    CLAIMED,
    "for=",
    '"',
    "\\",
    ",",
    ";",
    " ",
    "[",
    "]",
    "=",
    ":",
    "unknown",
    "_x",
    "\t",
    "é",
    "\0",
    INNER,
    "for=1.1.1.1",
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_whatever_a_caller_sends_the_address_is_theirs_or_the_proxys(sent: str) -> None:
    """A proxy appends the caller's address: to the line, or as a line of its own."""
    for caller in (
        LISTED.find_caller(PROXY, [f"{sent}, {CALLER}"], []),
        LISTED.find_caller(PROXY, [sent, CALLER], []),
        LISTED.find_caller(PROXY, [], [f"{sent}, for={CALLER}"]),
        LISTED.find_caller(PROXY, [], [sent, f"for={CALLER}"]),
        LISTED.find_caller(PROXY, [], [f'{sent},for="{CALLER}:80";proto=https']),
        LISTED.find_caller(PROXY, [CALLER], [sent]),
    ):
        assert caller in (CALLER, PROXY)


@pytest.mark.parametrize(
    "text", ["10.0.0.3/8", "x", "0", "33", "1,2", "10.0.0.0/8,2,3", "fe80::1%eth0", "*", "-1", "١"]
)
def test_settings_that_name_no_proxies_are_reported(text: str) -> None:
    with pytest.raises(StartupError, match="PORTAL_TRUSTED_PROXIES"):
        load_settings(database_url="postgresql+asyncpg://x", redis_urls="redis://x", trusted_proxies=text)


def test_settings_are_networks_and_hops() -> None:
    for text, (peer, is_trusted) in product(
        (" 10.0.0.0/8 , ::1 ,3", "10.0.0.3,::1"), ((PROXY, True), ("::1", True), (CALLER, False), (None, False))
    ):
        settings = load_settings(database_url="postgresql+asyncpg://x", redis_urls="redis://x", trusted_proxies=text)
        assert settings.proxies.is_trusted(peer) is is_trusted
