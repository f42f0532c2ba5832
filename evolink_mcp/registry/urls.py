"""What can be said of a link without following it. Whether it is safe to follow is not this package's question."""

import socket
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

# Ends of names that no public resolver answers (RFC 6761, RFC 6762, ICANN's reservation of .internal).
_PRIVATE_ENDS = (".localhost", ".localdomain", ".local", ".internal")


def link_fault(value: str, forms: tuple[str, ...] = ("url",)) -> str | None:
    """What keeps a text from being a link of one of these forms, in words; None when it is one."""
    if "base64" in forms or ("data" in forms and value[:5].lower() == "data:"):
        return None
    host, scheme = _host(value)
    if host and scheme in ("http", "https") and not any(char.isspace() for char in value):
        return None
    return "must be an http or https link" + (" or a data URL" if "data" in forms else "")


def callback_fault(value: str) -> str | None:
    """What keeps a link from being called back: not https, or a host that is this machine or a private network (S4).

    Only literal addresses and the names kept for private networks are known here; what a name resolves to is not asked.
    """
    host, scheme = _host(value)
    if scheme != "https" or not host or any(char.isspace() for char in value):
        return "must be an https link"
    host = host.rstrip(".").lower()
    single = "." not in host and ":" not in host
    if single or host.endswith(_PRIVATE_ENDS) or _is_internal(host):
        return "must not point to this machine or a private network"
    return None


def _host(value: str) -> tuple[str | None, str]:
    try:
        parts = urlsplit(value)
        # Reading the port is what checks it.
        return parts.hostname, parts.scheme.lower() if parts.port != 0 else ""
    except ValueError:
        return None, ""


def _is_internal(host: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        try:
            # The short, octal, hexadecimal and one-number spellings that resolvers accept.
            address = ip_address(socket.inet_aton(host))
        except OSError:
            return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or address
    return not address.is_global or address.is_multicast
