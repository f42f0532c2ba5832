"""Network addresses: which of them are on the public network, in every spelling that resolvers take."""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

# Only this block is given out as public unicast (RFC 4291); what the library of older Pythons calls
# global outside it (site-local, IPv4-compatible) is not.
_UNICAST = IPv6Network("2000::/3")
_DOCUMENTATION = IPv6Network("3fff::/20")  # RFC 9637, newer than some Pythons
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
# RFC 7526: withdrawn relays, which lead anywhere. RFC 6890: kept for protocols; older Pythons call most of it global.
_NOWHERE = (IPv4Network("192.88.99.0/24"), IPv4Network("192.0.0.0/24"))


def literal(host: str) -> Address | None:
    """The address that a host *is*: ``127.0.0.1``, ``127.1``, ``0x7f.1``, ``2130706433``. ``None`` for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if not set(host.lower()) <= set("0123456789abcdefx."):
        return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is on the public network, and the one that may be hidden in it (mapped, 6to4, NAT64) too."""
    if isinstance(address, IPv4Address):
        public = address.is_global and not address.is_multicast and not address.is_reserved
        return public and not any(address in network for network in _NOWHERE)
    if address.scope_id:
        return False
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        return is_public(address.sixtofour)
    return address in _UNICAST and address.is_global and address not in _DOCUMENTATION
