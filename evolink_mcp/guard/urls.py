"""Judges the links that callers and the gateway's answers hold.

A link is judged twice: by its spelling, and by the addresses that its host resolves to. Whoever fetches it connects to
these addresses and to no others, so that a name cannot lead elsewhere a moment later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import anyio

from evolink_mcp.errors import Refused
from evolink_mcp.guard.addresses import Address, is_fake, is_local_v6, is_odd_address, is_public, parse_address
from evolink_mcp.guard.names import NamePool, Resolver
from evolink_mcp.settings import is_loopback

MAX_LINK_LENGTH = 8192
FREE_TEXT = frozenset(
    {"prompt", "negative_prompt", "voice_prompt", "preview_text"}
)  # what is said or shown, not followed
# Ends of names that no public resolver answers (RFC 6761, RFC 6762, ICANN's reservation of .internal).
_PRIVATE_ENDS = (".local", ".internal", ".localhost", ".localdomain", ".home.arpa", ".onion")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_IPV6_HOST = re.compile(r"\[[0-9A-Fa-f:.]+(%[^\[\]]*)?\](:[0-9]*)?")
# What some program takes for a link, once the blanks that URL parsers skip are gone: a scheme with slashes of either
# kind, a host without a scheme, a scheme that needs no slashes, and protocols around a link (concat:http://…).
_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]+:)?[/\\]{2,}[^\s/\\]"
    r"|[a-z][a-z0-9+.-]+:[/\\]"  # one letter is a drive of Windows
    r"|(?:https?|wss?|s?ftps?|file|gopher|dict|ldaps?|smb|scp|javascript|view-source|jar|blob|rtsp|rtmps?|tcp|udp):\S"
    r"|[!-~]*://",
    re.IGNORECASE,
)
_WRAPPED = re.compile(
    r"""(?P<open>!?\[[^\[\]]*\]\(|["'`<“‘])?(?P<link>https?://[^\s<>"`“”‘’]+?)(?(open)[)"'`>”’])""", re.IGNORECASE
)
_SKIPPED = str.maketrans("", "", "\t\r\n")  # URL parsers drop these wherever they are
_BLANKS = "".join(map(chr, range(33)))

system_resolver = NamePool().resolve
"""What the machine's own resolver says. One pool for the process."""


class Unresolved(Exception):
    """A host name has no address here, for now or at all."""


class FakeAddress(Unresolved):
    """A host name has only an address that stands for it, of a local proxy in fake-IP mode."""

    def __init__(self, host: str, addresses: list[Address]) -> None:
        super().__init__(host)
        self.addresses = addresses


@dataclass(frozen=True)
class UrlGuard:
    """Decides which links may be used: https to a public host, without credentials in it.

    With ``allow_loopback`` (the gateway itself is on this machine), http and https to loopback pass too; of links that
    callers give, only those to ``ports``, where callers are elsewhere: what else listens there is not theirs to reach.
    With ``allow_fake``, results are fetched from addresses that a local proxy in fake-IP mode gives to names.
    """

    allow_loopback: bool = False
    allow_fake: bool = False
    resolve: Resolver = system_resolver
    ports: frozenset[int] | None = None

    def check_spelling(self, url: str, *, name: str, caller: str = "") -> str:
        """Returns the host of a link, in ASCII, whose spelling is allowed. Nothing is resolved.

        Args:
            caller: The owner of the call that gave the link; empty for links of the gateway and the operator.

        Raises:
            Refused: With the rule that was broken; ``name`` says which parameter.
        """
        host, problem = self._read(url)
        if not problem and caller and self.ports is not None and is_loopback(host) and port_of(url) not in self.ports:
            problem = "the link points to this machine, to something that is not EvoLink's."
        if problem:
            raise _refused(name, problem)
        return host

    async def addresses(self, url: str, *, name: str, caller: str = "") -> list[Address]:
        """The addresses a link leads to, all of them allowed; never an empty list.

        Args:
            caller: The owner of the call that gave the link, whose share of the lookups this is.

        Raises:
            Refused: Its spelling, or one of its addresses, is not allowed.
            FakeAddress: Its host has an address that only a local proxy knows.
            Unresolved: Its host has no address here.
        """
        host = self.check_spelling(url, name=name, caller=caller)
        address = parse_address(host)
        if address is not None:
            return [address]
        try:
            addresses = await self.resolve(host, caller)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise Unresolved(host)
        ours = self.allow_loopback and is_loopback(host)
        fakes = [each for each in addresses if is_fake(each)]
        for each in addresses:
            stands_in = is_fake(each) or (fakes and is_local_v6(each))
            if not (is_public(each) or stands_in or (ours and each.is_loopback)):
                raise _refused(name, f"{host} leads into a private network.")
        if fakes:
            raise FakeAddress(host, fakes)
        return addresses

    async def check_links(
        self, params: Mapping[str, object], *, skip: Callable[[str], bool] = lambda _: False, caller: str = ""
    ) -> list[str]:
        """Checks every link among parameters, nested ones included: notes for those nobody here can resolve.

        Such a link is not fetched here, so it harms nobody here, and the network the gateway is in may know its host.
        Text for people may hold what it likes.

        Args:
            skip: Whether a link is not to be judged.
            caller: The owner of the call.

        Raises:
            Refused: For the first link that may not be used, naming its parameter.
        """
        links: dict[str, tuple[str, str]] = {}
        for name, link in _links(params, ""):
            if not skip(link):
                links.setdefault(self.check_spelling(link, name=name, caller=caller), (name, link))
        notes: list[str] = []
        refusals: list[Refused] = []

        async def judge(host: str, name: str, link: str) -> None:
            try:
                await self.addresses(link, name=name, caller=caller)
            except FakeAddress:
                notes.append(f"{name}: a local proxy answers for {host} here; EvoLink will look the name up itself.")
            except Unresolved:
                notes.append(f"{name}: this server found no address for {host}; if EvoLink finds none, the task fails.")
            except Refused as refused:
                refusals.append(refused)

        async with anyio.create_task_group() as group:
            for host, (name, link) in links.items():
                group.start_soon(judge, host, name, link)
        if refusals:
            raise refusals[0]
        return notes

    def _read(self, url: str) -> tuple[str, str]:
        """The host of a link, and what is wrong with the link."""
        if len(url) > MAX_LINK_LENGTH:
            return "", f"the link has {len(url)} characters; at most {MAX_LINK_LENGTH} are allowed."
        if not url.isprintable() or " " in url or "\\" in url:
            return "", "the link holds white space, backslashes, or characters that cannot be seen."
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
        if "[" in parts.netloc and not _IPV6_HOST.fullmatch(parts.netloc):  # older Pythons pass over what is around it
            return "", "the link's host is not a host name."
        host = _ascii(written)
        if host is None:
            return "", "the link's host is not a host name."
        if not written.isascii() and host != _in_later_rules(written, host):
            return "", "the link's host can be read as two names: write it as xn--…."
        if is_odd_address(host) or (parse_address(host) is not None and host != written):
            return "", "the link's host is an IP address that is not written plainly."
        return host, self._place_problem(parts.scheme, host)

    def _place_problem(self, scheme: str, host: str) -> str:
        if is_loopback(host):
            return "" if self.allow_loopback else "the link points to this machine, which the gateway cannot reach."
        if scheme != "https":
            return "the link must be https."
        address = parse_address(host)
        public = is_public(address) if address else "." in host and not host.endswith(_PRIVATE_ENDS)
        return "" if public else "the link points into a private network."


def bare_link(text: str) -> str:
    """The http or https link that a text is but for what stands around it: blanks, quotation marks, ``<…>``, Markdown.

    Any other text as it is.
    """
    if len(text) > MAX_LINK_LENGTH or (text[:4].lower() == "http" and text == text.strip()):
        return text
    match = _WRAPPED.fullmatch(text.strip())
    return match["link"] if match else text


def port_of(url: str) -> int:
    """The port that a link leads to."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def loopback_ports(urls: Iterable[str]) -> frozenset[int]:
    """The ports of those links that lead to this machine."""
    return frozenset(port_of(url) for url in urls if is_loopback(urlsplit(url).hostname or ""))


def is_linklike(text: str) -> bool:
    """Whether some program would take a text for a link, allowed or not. Data URLs lead nowhere and do not count."""
    seen = text[: 2 * MAX_LINK_LENGTH].translate(_SKIPPED).strip(_BLANKS)
    return _LINK.match(seen) is not None and seen[:5].lower() != "data:"


def _ascii(host: str) -> str | None:
    """A host as it goes over the wire: without its last dot, in lower case, IDNs encoded. ``None`` where it is none."""
    if ":" in host:
        return host if parse_address(host) is not None else None
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return None
    return name if _NAME.fullmatch(name) and len(name) <= 253 else None


def _in_later_rules(host: str, name: str) -> str:
    """A host's name by the rules of 2008, which the HTTP client and most gateways follow; ``name``, that of 2003, where
    these have none. Of ``ß``, ``ς`` and some capital letters the two make different names, perhaps of different owners.
    """
    import httpx2  # only for other letters than those of ASCII

    try:
        return httpx2.URL(f"https://{host}").raw_host.decode("ascii").removesuffix(".")
    except httpx2.InvalidURL:
        return name


def _links(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if name not in FREE_TEXT and is_linklike(value):
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
