"""Links that callers, or the gateway's answers, ask us to use."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import cast
from urllib.parse import urlsplit

from evolink_mcp.errors import Refused
from evolink_mcp.settings import is_loopback

MAX_LINK = 8192
NAT64 = IPv6Network("64:ff9b::/96")
FREE_TEXT = frozenset({"prompt", "negative_prompt"})


def check_link(url: str, *, name: str, allow_loopback: bool) -> str:
    """Returns ``url`` where it may be given to the gateway or fetched.

    A link is https to a public host, without credentials in it. Where the
    gateway itself is on loopback, http and https to loopback pass too.

    Raises:
        Refused: With the rule that was broken; ``name`` says which parameter.
    """
    problem = _problem(url, allow_loopback)
    if problem:
        raise Refused(
            f"{name}: {problem}",
            code="link_refused",
            next_step="Give a public https link, or upload the file with upload_file and use the file_url it returns.",
        )
    return url


def check_links(params: Mapping[str, object], *, allow_loopback: bool) -> None:
    """Checks every link among parameters, nested ones included. Text for people may hold what it likes.

    Raises:
        Refused: For the first link that may not be used, naming its parameter.
    """
    for name, link in _links(params, ""):
        check_link(link, name=name, allow_loopback=allow_loopback)


def _links(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if name not in FREE_TEXT and "://" in value[:16]:
            yield name, value
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, object]", value).items():
            yield from _links(inner, key)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _links(inner, name)


def _problem(url: str, allow_loopback: bool) -> str:
    if len(url) > MAX_LINK:
        return f"the link has {len(url)} characters; at most {MAX_LINK} are allowed."
    if any(character.isspace() or ord(character) < 32 for character in url):
        return "the link holds white space or control characters."
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        _ = parts.port  # raises where the port is no number
    except ValueError:
        return "this is not a link."
    if parts.scheme not in ("http", "https") or not host:
        return "a link starting with https:// is expected."
    if parts.username is not None or parts.password is not None:
        return "the link holds a user name or password."
    address = _literal(host)
    if is_loopback(str(address or host)):
        return "" if allow_loopback else "the link points to this machine, which the gateway cannot reach."
    if parts.scheme != "https":
        return "the link must be https."
    if address is not None:
        public = _is_public(address)
    else:
        public = "." in host and not host.lower().endswith((".local", ".internal", ".localhost"))
    return "" if public else "the link points into a private network."


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is, in any spelling that resolvers take (127.1, 0x7f.1, 2130706433)."""
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


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address, and the one that may be hidden in it, is on the public network."""
    if isinstance(address, IPv6Address):
        hidden = [address.ipv4_mapped, address.sixtofour]
        if address in NAT64:
            hidden.append(IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(inner.is_global for inner in hidden if inner is not None):
            return False
        if any(inner is not None for inner in hidden):
            return not address.is_multicast
    return address.is_global and not address.is_multicast
