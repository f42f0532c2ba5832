"""Links that callers, or the gateway's answers, ask us to use.

A link is judged twice: by its spelling, and by the addresses its host resolves
to. Whoever fetches one connects to the addresses judged here and to no other,
so that a name cannot change its mind in between.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import anyio

from evolink_mcp.errors import Refused
from evolink_mcp.guard.addresses import Address, is_public, literal
from evolink_mcp.settings import is_loopback

MAX_LINK_LENGTH = 8192
RESOLVE_SECONDS = 5.0
FREE_TEXT = frozenset({"prompt", "negative_prompt"})
# Ends of names that no public resolver answers (RFC 6761, RFC 6762, ICANN's reservation of .internal).
_PRIVATE_ENDS = (".local", ".internal", ".localhost", ".localdomain", ".home.arpa", ".onion")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")

Resolver = Callable[[str], Awaitable[list[Address]]]
"""Resolves a host name to all of its addresses; raises ``OSError`` where it has none."""


class Unresolved(Exception):
    """A host name has no address here, for now or at all."""


async def system_resolver(host: str) -> list[Address]:
    """What the machine's own resolver says."""
    with anyio.fail_after(RESOLVE_SECONDS):
        found = await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = [literal(str(sockaddr[0])) for *_, sockaddr in found]
    return list(dict.fromkeys(address for address in addresses if address is not None))


@dataclass(frozen=True)
class UrlGuard:
    """Decides which links may be used.

    A link is https to a public host, without credentials in it. With
    ``allow_loopback`` (the gateway itself is on this machine), http and https
    to loopback, written as such, pass too.
    """

    allow_loopback: bool = False
    resolve: Resolver = system_resolver

    def check_spelling(self, url: str, *, name: str) -> str:
        """Returns the host of a link, in ASCII, whose spelling is allowed. Nothing is resolved.

        Raises:
            Refused: With the rule that was broken; ``name`` says which parameter.
        """
        host, problem = self._read(url)
        if problem:
            raise _refused(name, problem)
        return host

    async def addresses(self, url: str, *, name: str) -> list[Address]:
        """The addresses a link leads to, all of them allowed; never an empty list.

        Raises:
            Refused: Its spelling, or one of its addresses, is not allowed.
            Unresolved: Its host has no address here.
        """
        host = self.check_spelling(url, name=name)
        address = literal(host)
        if address is not None:
            return [address]
        try:
            found = await self.resolve(host)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise Unresolved(host)
        ours = self.allow_loopback and is_loopback(host)
        if not all(is_public(each) or (ours and each.is_loopback) for each in found):
            raise _refused(name, f"{host} leads into a private network.")
        return found

    async def check_links(
        self, params: Mapping[str, object], *, skip: Callable[[str], bool] = lambda _: False
    ) -> list[str]:
        """Checks every link among parameters, nested ones included: notes for those nobody here can resolve.

        Such a link is not fetched here, so it harms nobody here, and the network
        the gateway is in may know its host. Text for people may hold what it likes.

        Raises:
            Refused: For the first link that may not be used, naming its parameter.
        """
        hosts: dict[str, tuple[str, str]] = {}
        for name, link in _links(params, ""):
            if not skip(link):
                hosts.setdefault(self.check_spelling(link, name=name), (name, link))
        notes: list[str] = []
        refusals: list[Refused] = []

        async def judge(host: str, name: str, link: str) -> None:
            try:
                await self.addresses(link, name=name)
            except Unresolved:
                notes.append(f"{name}: {host} has no address here; if EvoLink finds none either, the task fails.")
            except Refused as refused:
                refusals.append(refused)

        async with anyio.create_task_group() as group:
            for host, (name, link) in hosts.items():
                group.start_soon(judge, host, name, link)
        if refusals:
            raise refusals[0]
        return notes

    def _read(self, url: str) -> tuple[str, str]:
        """The host of a link, and what is wrong with the link."""
        if len(url) > MAX_LINK_LENGTH:
            return "", f"the link has {len(url)} characters; at most {MAX_LINK_LENGTH} are allowed."
        if any(character.isspace() or ord(character) < 32 or character in "\\\x7f" for character in url):
            return "", "the link holds white space, control characters or backslashes."
        try:
            parts = urlsplit(url)
            written = parts.hostname or ""
            _ = parts.port  # raises where the port is no number
        except ValueError:
            return "", "this is not a link."
        if parts.scheme not in ("http", "https") or not written:
            return "", "a link starting with https:// is expected."
        if "@" in parts.netloc:
            return "", "the link holds a user name or password."
        host = _ascii(written)
        if host is None:
            return "", "the link's host is not a host name."
        return host, self._place_problem(parts.scheme, host)

    def _place_problem(self, scheme: str, host: str) -> str:
        address = literal(host)
        if is_loopback(str(address or host)):
            return "" if self.allow_loopback else "the link points to this machine, which the gateway cannot reach."
        if scheme != "https":
            return "the link must be https."
        if address is not None:
            public = is_public(address)
        else:
            numeric = host.rpartition(".")[2].isdigit()  # no top-level domain is a number, but some resolvers try
            public = "." in host and not numeric and not host.endswith(_PRIVATE_ENDS)
        return "" if public else "the link points into a private network."


def _ascii(host: str) -> str | None:
    """A host as it goes over the wire: without its last dot, in lower case, IDNs encoded. ``None`` where it is none."""
    if ":" in host:
        return host if literal(host) is not None else None
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return None
    return name if _NAME.fullmatch(name) and len(name) <= 253 else None


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


def _refused(name: str, problem: str) -> Refused:
    return Refused(
        f"{name}: {problem}",
        code="link_refused",
        next_step="Give a public https link, or upload the file with upload_file and use the file_url it returns.",
    )
