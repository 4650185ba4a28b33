"""IP addresses and networks in one form, whoever wrote them: read once here for storing and for comparing.

An IPv4 address written as IPv6 (`::ffff:203.0.113.7`) is that IPv4 address. An address has no zone (`fe80::1%eth0`):
the zone is a name on one machine, and means nothing on another. A network is written with the length of its prefix, and
its address has no bits behind it: `203.0.113.7/24` might mean one address or 256.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_ADDRESS = 64
"""Characters; the longest address has 45."""
_MAPPED_BITS = 96
_MAPPED = IPv6Network("::ffff:0:0/96")
_PREFIX = re.compile(r"[0-9]{1,3}")
_EXAMPLE = "Write 203.0.113.7 or 203.0.113.0/24."


class InvalidAddress(ValueError):
    """Not an address or network; the text says why, the hint what to write instead."""

    def __init__(self, message: str, hint: str = _EXAMPLE) -> None:
        super().__init__(message)
        self.hint = hint


@lru_cache(maxsize=65_536)
def parse_address(text: str) -> Address:
    """Return the address that a text means. Raises InvalidAddress."""
    if len(text) > MAX_ADDRESS or not text.isascii() or "%" in text:
        raise InvalidAddress(f"{_shown(text)} is not an IPv4 or IPv6 address without a zone.")
    try:
        return fold_address(ip_address(text))
    except ValueError:
        raise InvalidAddress(f"{_shown(text)} is not an IPv4 or IPv6 address.") from None


def parse_network(text: str) -> Network:
    """Return the network that a text means; a single address is a network of one. Raises InvalidAddress."""
    address_text, slash, prefix = text.strip().partition("/")
    address = parse_address(address_text)
    if not slash:
        return ip_network(address)
    if not _PREFIX.fullmatch(prefix):
        raise InvalidAddress(f"{_shown(text)} is not a network with the length of its prefix.")
    length = int(prefix)
    if isinstance(address, IPv4Address) and ":" in address_text:
        length -= _MAPPED_BITS
        if length < 0:
            hint = f"Write {address}/{prefix}." if int(prefix) <= address.max_prefixlen else _EXAMPLE
            raise InvalidAddress(f"{_shown(text)} is wider than all IPv4 addresses.", hint)
    if length > address.max_prefixlen:
        raise InvalidAddress(f"{_shown(text)} has a prefix of more than {address.max_prefixlen} bits.")
    network = ip_network(f"{address}/{length}", strict=False)
    if network.network_address != address:
        hint = f"Write {network} for all {_count(network)}, or {address} for this one address."
        raise InvalidAddress(f"{_shown(text)} has address bits behind its prefix.", hint)
    return network


def fold_address(address: Address) -> Address:
    """Return the IPv4 address where one is written as IPv6, else the address as it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def address_group(text: str) -> str:
    """Return whose tries are counted together: an IPv4 address, or the /64 of an IPv6 one, which is one customer's.

    What is no address is its own group.
    """
    try:
        address = parse_address(text)
    except InvalidAddress:
        return text
    return str(address) if isinstance(address, IPv4Address) else str(IPv6Network((int(address) >> 64 << 64, 64)))


@lru_cache(maxsize=10_000)
def stored_networks(ranges: tuple[str, ...]) -> tuple[Network, ...]:
    """Return networks as they are compared, also those that an earlier version stored in another form."""
    return tuple(_fold_network(ip_network(text, strict=False)) for text in ranges)


def is_in_networks(address: Address, networks: tuple[Network, ...]) -> bool:
    """Return whether an address, as `parse_address` returns it, lies in one of the networks."""
    return any(network.version == address.version and address in network for network in networks)


def _fold_network(network: Network) -> Network:
    if not isinstance(network, IPv6Network) or not network.subnet_of(_MAPPED):
        return network
    mapped = network.network_address.ipv4_mapped
    return ip_network(f"{mapped}/{network.prefixlen - _MAPPED_BITS}")


def _count(network: Network) -> str:
    count = network.num_addresses
    return f"{count:,} addresses" if count < 2**32 else f"addresses of its prefix of {network.prefixlen} bits"


def _shown(text: str) -> str:
    return ascii(text[:MAX_ADDRESS])
