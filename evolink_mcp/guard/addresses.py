"""Network addresses: how one may be written, and which of them are on the public network."""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

# Only this block is given out as public unicast (RFC 4291). Older Pythons call more than that global: site-local and
# IPv4-compatible addresses, for example.
_UNICAST = IPv6Network("2000::/3")
_DOCUMENTATION = IPv6Network("3fff::/20")  # RFC 9637, newer than some Pythons
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
# RFC 7526: withdrawn relays, which lead anywhere. RFC 6890: reserved for protocols; older Pythons call it global.
_NOWHERE = (IPv4Network("192.88.99.0/24"), IPv4Network("192.0.0.0/24"))
# RFC 2544: for benchmarks, never routed. Proxies in fake-IP mode (Clash, Surge, sing-box) answer every name with one.
_FAKE = IPv4Network("198.18.0.0/15")
_UNIQUE_LOCAL = IPv6Network("fc00::/7")  # RFC 4193
# What the WHATWG URL standard reads as an IPv4 address: the last label is a decimal or hexadecimal number.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.IGNORECASE)


def parse_address(host: str) -> Address | None:
    """The address that a host is, in its plain form. ``None`` for names, and for other forms of an address."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_odd_address(host: str) -> bool:
    """Whether some program would read a host as an address that is not written plainly.

    IPv4 in short, octal, hexadecimal or one-number form, or with a final dot; IPv6 that hides an IPv4 address (mapped,
    6to4, NAT64) or names a zone. Programs disagree about what these mean.
    """
    address = parse_address(host)
    if isinstance(address, IPv6Address):
        return bool(address.scope_id) or _embedded(address) is not None
    return address is None and _ENDS_IN_NUMBER.fullmatch(host) is not None


def is_public(address: Address) -> bool:
    """Whether an address is on the public network, and the IPv4 address it may hide too (mapped, 6to4, NAT64)."""
    if isinstance(address, IPv4Address):
        public = address.is_global and not address.is_multicast
        return public and not any(address in network for network in _NOWHERE)
    if address.scope_id:
        return False
    embedded = _embedded(address)
    if embedded is not None:
        return is_public(embedded)
    return address in _UNICAST and address.is_global and address not in _DOCUMENTATION


def is_local_v6(address: Address) -> bool:
    """Whether an address is of IPv6's own private range; such proxies give names one of these beside the fake one."""
    return isinstance(address, IPv6Address) and address in _UNIQUE_LOCAL


def is_fake(address: Address) -> bool:
    """Whether an address only stands for a name: a local proxy in fake-IP mode keeps the real one."""
    return isinstance(address, IPv4Address) and address in _FAKE


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside a mapped, 6to4 or NAT64 one."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
