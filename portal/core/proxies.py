"""Whose word about a caller's address is believed: that of listed proxies, read from the right, and nobody else's.

Each proxy writes the address that it was called from behind what it was sent, so the chain is true as far as one listed
proxy after the other wrote it, and from there on anybody's invention:

    X-Forwarded-For: 198.51.100.9, 203.0.113.7, 10.0.0.2      connection from 10.0.0.3
                     (claimed)     the caller   (listed)      (listed)

`Forwarded` (RFC 7239) is read the same way. Where both headers are there and tell of different callers, one of them was
passed through unread by a proxy that writes the other: neither is believed, and the caller is the proxy.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.addresses import InvalidAddress, Network, is_in_networks, parse_address, parse_network

MAX_HOPS = 32
_NODE = re.compile(
    r"\[(?P<v6>[^\]]+)\](?::[0-9_.a-z-]+)?|(?P<v4>[0-9.]+)(?::[0-9_.a-z-]+)?|(?P<bare>[0-9a-f:.]+)", re.IGNORECASE
)
_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9a-z-]+)=("(?:[^"\\]|\\.)*"|[^",;\s]*)\s*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """`networks` of the proxies, any peer where there are none and `hops` say how many stand in front of the portal."""

    networks: tuple[Network, ...] = ()
    hops: int = 0

    @classmethod
    def parse(cls, items: Sequence[str]) -> "TrustedProxies":
        """Return what the setting says: networks, and one number of hops at most. Raises ValueError."""
        numbers = [item for item in items if item.isascii() and item.isdigit()]
        if len(numbers) > 1 or any(not 1 <= int(number) <= MAX_HOPS for number in numbers):
            raise ValueError(f"takes one number of hops at most, 1 to {MAX_HOPS}")
        try:
            networks = tuple(parse_network(item) for item in items if item not in numbers)
        except InvalidAddress as error:
            raise ValueError(f"{error} {error.hint}") from None
        return cls(networks, int(numbers[0]) if numbers else MAX_HOPS if networks else 0)

    def is_trusted(self, address: str | None) -> bool:
        """Return whether the other end of a connection is one of the proxies."""
        if not self.hops or address is None:
            return False
        if not self.networks:
            return True
        try:
            return is_in_networks(parse_address(address), self.networks)
        except InvalidAddress:
            return False

    def find_caller(self, peer: str | None, x_forwarded_for: Sequence[str], forwarded: Sequence[str]) -> str | None:
        """Return the address of the caller behind the proxies; the arguments are the lines of the two headers.

        What cannot be read ends the chain at the proxy that wrote it.
        """
        if not self.is_trusted(peer):
            return peer
        callers = {
            self._walk(peer, nodes)
            for nodes in (_split_list(x_forwarded_for), _split_forwarded(forwarded))
            if nodes is not None
        }
        return callers.pop() if len(callers) == 1 else peer

    def _walk(self, peer: str | None, nodes: list[str]) -> str | None:
        caller = peer
        for hop, node in enumerate(reversed(nodes), 1):
            address = _address_of(node)
            if address is None:
                return caller
            caller = address
            if hop >= self.hops or not self.is_trusted(address):
                return caller
        return caller


def _split_list(lines: Sequence[str]) -> list[str] | None:
    return [node.strip() for node in ",".join(lines).split(",")] if lines else None


def _split_forwarded(lines: Sequence[str]) -> list[str] | None:
    """Return the `for` of each element; empty where an element has none, or from where on it cannot be read."""
    if not lines:
        return None
    text, at, nodes, node = ",".join(lines), 0, [], ""
    while at <= len(text):
        pair = _PAIR.match(text, at)
        if pair is not None:
            at = pair.end()
            if pair[1].lower() == "for":
                node = re.sub(r"\\(.)", r"\1", pair[2][1:-1]) if pair[2].startswith('"') else pair[2]
        ending = text[at : at + 1]
        if ending in (",", ""):
            nodes.append(node)
            node = ""
        elif ending != ";":
            # From the right nothing of this is sure: a quote that somebody left open may hold what others wrote.
            return [*nodes, ""]
        at += 1
    return nodes


def _address_of(node: str) -> str | None:
    """Return the address that a node names, with a port or without; None for `unknown` and what is none."""
    match = _NODE.fullmatch(node)
    if match is None:
        return None
    try:
        return str(parse_address(match["v6"] or match["v4"] or match["bare"]))
    except InvalidAddress:
        return None
