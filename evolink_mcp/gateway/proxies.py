"""The proxy between this machine and the gateway, as the environment names it: for words only, never its password."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from evolink_mcp.errors import Unreachable
from evolink_mcp.settings import is_loopback
from evolink_mcp.settings.placeholders import Unfilled, unfilled_secret


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the ``variable`` that names it. ``problem`` says why it cannot be used; "" where it may work."""

    variable: str
    address: str
    problem: str

    def __str__(self) -> str:
        return f"{self.variable} ({self.address})"


def proxy_for(url: str) -> Proxy | None:
    """The proxy that a request to ``url`` goes through; ``None`` where it goes straight."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    return next(iter(_proxies((parts.scheme, "all"))), None)


def bad_proxy(proxy: Proxy | None = None) -> Unreachable:
    """The error for a proxy that cannot be used; without one, for the first such that the environment names."""
    proxy = proxy or next((each for each in _proxies(("http", "https", "all")) if each.problem), None)
    variable = proxy.variable if proxy else "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
    return Unreachable(
        f"{variable} {proxy.problem if proxy else 'cannot be used.'}",
        code="bad_proxy",
        next_step=f"Ask the user to correct {variable} in this server's environment, or to unset it.",
    )


def _proxies(schemes: Sequence[str]) -> list[Proxy]:
    found = getproxies()
    return [_read(_variable(scheme), found[scheme]) for scheme in schemes if found.get(scheme)]


def _variable(scheme: str) -> str:
    """The variable that names the proxy of a scheme. Of two spellings the one in small letters counts."""
    names = [name for name, value in os.environ.items() if name.lower() == f"{scheme}_proxy" and value]
    return max(names, default="The system's proxy setting")


def _read(variable: str, value: str) -> Proxy:
    if placeholder := unfilled_secret(value):
        return Proxy(variable, "", str(Unfilled(placeholder)))
    url = value if "://" in value else f"http://{value}"
    try:
        httpx2.Proxy(url)
        parts = urlsplit(url)
        address = parts.hostname and parts.hostname + (f":{parts.port}" if parts.port else "")
    except (ValueError, httpx2.InvalidURL):  # their words may hold a piece of the password
        address = None
    problem = "" if address else "is not the address of a proxy, such as http://host:8080 or socks5://host:1080."
    return Proxy(variable, address or "", problem)
