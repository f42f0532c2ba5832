"""How the text of a variable becomes its value: one short function for each type.

Each raises :class:`ValueError` with what is wrong, in words that go on after the variable's name: :class:`Unfilled`
where a placeholder was left, :class:`Partial` where a part of a list can be used.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import urlsplit

from evolink_mcp.settings.placeholders import QUOTES, Unfilled, stand_in, unfilled, unfilled_secret
from evolink_mcp.settings.places import WINDOWS_PATH, Bucket, names_no_place, read_bucket, read_path

if TYPE_CHECKING:
    from evolink_mcp.settings.claims import Condition

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Toolset = Literal["media", "audio", "text", "account"]
TOOLSETS: tuple[Toolset, ...] = get_args(Toolset)
ALL = "all"
TOOLSET_SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("image", "images", "video", "videos", "default"), "media"),
    **dict.fromkeys(("texts", "chat"), "text"),
    **dict.fromkeys(("accounts", "billing"), "account"),
    "*": ALL,
}
MAX_CREDITS = 1e9  # of a limit; more is none
MIN_TOKEN_CHARACTERS = 16  # guessing a shorter one would spend the operator's credits
# gateway/ adds these itself; other clients of the gateway want them written, and its pages show whole addresses.
VERSION_PATH = re.compile(
    r"(?:/api)?/v1(?:/(?:images|videos|audios|tasks|files|chat|messages|models|credits)\b.*)?/*$", re.IGNORECASE
)
# How the header begins that a key is sent in.
_SCHEME = re.compile(r"(?:authorization:\s*)?(?:bearer(?:\s+|$))?", re.IGNORECASE)

_LOGIN = re.compile(r"^([a-z][a-z0-9+.-]*:[/\\]+)?.*@", re.IGNORECASE | re.DOTALL)

Reader = Callable[[str, Mapping[str, str]], object]


class Partial(ValueError):
    """A list of which only ``usable`` can be used."""

    def __init__(self, problem: str, usable: object) -> None:
        super().__init__(problem)
        self.usable = usable


@dataclass(frozen=True)
class Token:
    """A token that callers present: the SHA-256 of it, and what its callers are called ("" where it has no name)."""

    digest: str = field(repr=False)
    name: str = ""


def without_login(address: str) -> str:
    """An address without all that stands before an @ in it, however it is written: it may be a password."""
    return _LOGIN.sub(r"\1***@", address)


def _shown(address: str) -> str:
    return repr(without_login(address)[:60])


def read_text(value: str, _environ: Mapping[str, str]) -> str:
    """The text as it is.

    Raises:
        Unfilled: It only stands for one.
    """
    if stand_in(value):
        raise Unfilled(value, whole=True)
    return value


def one_of(words: Mapping[str, object], *usual: str) -> Reader:
    """A reader of words in any case, synonyms included. A refusal names the ``usual`` ones."""

    def read(value: str, _environ: Mapping[str, str]) -> object:
        if value.lower() not in words:
            text = read_text(value, _environ)
            raise ValueError(f"must be one of {', '.join(usual)}; it is {text[:40]!r}.")
        return words[value.lower()]

    return read


def read_key(value: str, _environ: Mapping[str, str]) -> str:
    key = _SCHEME.sub("", value, count=1)
    if placeholder := unfilled_secret(key) if key else value:
        raise Unfilled(placeholder, whole=placeholder in (key, value))
    value = key
    if value[0] in QUOTES or value[-1] in QUOTES:
        raise ValueError("has quotation marks around it, which are not part of a key: write it without them.")
    if value[-1] in ",;":
        raise ValueError(f"ends with {value[-1]!r}, which is not part of a key: write it without that.")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ValueError("holds characters that no key has (spaces, line ends or non-ASCII).")
    return value


def amount_of(what: str, most: float) -> Callable[[str, Mapping[str, str]], float]:
    """A reader of a number above 0."""

    def read(value: str, _environ: Mapping[str, str]) -> float:
        if placeholder := unfilled(value):
            raise Unfilled(placeholder, whole=placeholder == value)
        try:
            number = float(value) if value.isascii() and "_" not in value else 0.0
        except ValueError:
            number = 0.0
        if not 0 < number <= most:
            raise ValueError(f"must be a number of {what} above 0, as in 20 or 7.5; it is {value[:40]!r}.")
        return number

    return read


read_credits = amount_of("credits", MAX_CREDITS)


def read_url(value: str, _environ: Mapping[str, str]) -> str:
    """The base URL of a host of the gateway, without a version or a slash at its end."""
    base = VERSION_PATH.sub("", value.rstrip("/"))
    if placeholder := unfilled(base):
        raise Unfilled(placeholder, whole=placeholder == base)
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        _ = parts.port  # raises where the port is no number
    except ValueError:
        raise ValueError(f"is not a URL: {_shown(value)}.") from None
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password.")
    if parts.query or parts.fragment:
        raise ValueError("must end before any ? or #.")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise ValueError(f"must be an https:// URL (http:// on this machine only); it is {_shown(value)}.")
    return base


def read_place(value: str, environ: Mapping[str, str]) -> Path | None:
    """A folder or a file; ``None`` for a word that says there is to be none."""
    return None if names_no_place(value) else read_path(value, environ)


def read_keeping_place(value: str, environ: Mapping[str, str]) -> Path | Bucket | None:
    """A folder, or a place in a bucket; ``None`` for a word that says there is to be none."""
    return read_bucket(value) if value.lower().startswith("s3:") else read_place(value, environ)


def read_places(value: str, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The folders of a list with ``os.pathsep``, none for a word that says so: the default would open one. A colon in a
    placeholder or a link separates nothing."""
    if re.search(r"://[^/]*@", value):  # its colon would part it, and its password would be shown as a folder
        raise Partial("must list folders, not a link with a user name or password.", ())
    pattern = r"(?<!\$env):(?![^{}]*\})(?!//)" if os.pathsep == ":" and not WINDOWS_PATH.match(value) else os.pathsep
    folders: list[Path] = []
    problems: list[ValueError] = []
    parts = [each for part in re.split(pattern, value) if (each := part.strip())]
    for each in parts:
        try:
            folders += [] if names_no_place(each) else [read_path(each, environ)]
        except ValueError as error:
            problems.append(error)
    if problems and len(problems) == len(parts) and all(isinstance(each, Unfilled) for each in problems):
        raise problems[0]
    if problems:
        raise Partial("; ".join(map(str, problems)), tuple(folders))
    return tuple(folders)


def parse_toolsets(text: str) -> tuple[Toolset, ...]:
    """The toolsets in a list with commas or in JSON, in their own order; ``all`` is every one of them.

    Raises:
        Partial: A name is none of them, or there is no name; the message lists them.
    """
    names = [TOOLSET_SYNONYMS.get(name, name) for name in re.split(r"[\s,;|+/&\[\]\"']+", text.lower()) if name]
    toolsets: tuple[Toolset, ...] = tuple(each for each in TOOLSETS if each in names or ALL in names)
    if not names or any(name not in (*TOOLSETS, ALL) for name in names):
        words = ", ".join((*TOOLSETS, ALL))
        raise Partial(f"must name some of {words}, separated by commas; it is {text[:60]!r}.", toolsets or None)
    return toolsets


def read_toolsets(value: str, environ: Mapping[str, str]) -> tuple[Toolset, ...]:
    try:
        return parse_toolsets(value)
    except Partial as problem:
        if problem.usable is None:
            read_text(value, environ)
        raise


def read_tokens(value: str, environ: Mapping[str, str]) -> tuple[Token, ...]:
    """The tokens of ``name:token,token,…``, hashed. What is wrong with one is said without showing it."""
    tokens: list[Token] = []
    problems: list[str] = []
    for number, each in enumerate((part.strip() for part in read_text(value, environ).split(",")), start=1):
        name, _, token = each.rpartition(":")
        if not each:
            continue
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            problems.append(f"entry {number} has no token of visible ASCII characters")
        elif len(token) < MIN_TOKEN_CHARACTERS:
            problems.append(f"the token of entry {number} has less than {MIN_TOKEN_CHARACTERS} characters")
        elif name and not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name):
            problems.append(f"the name of entry {number} may hold 1 to 40 letters, digits, _, . and -")
        tokens.append(Token(hashlib.sha256(token.encode()).hexdigest(), name))
    if problems:
        raise ValueError(f"cannot be used: {'; '.join(problems)}.")
    return tuple(tokens)


def read_issuer(value: str, _environ: Mapping[str, str]) -> str:
    """The address of an identity provider, as it spells itself: a slash at its end is part of it."""
    if placeholder := unfilled(value):
        raise Unfilled(placeholder, whole=placeholder == value)
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"is not a URL: {_shown(value)}.") from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not host or not secure or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"must be a plain https:// URL (http:// on this machine only); it is {_shown(value)}.")
    return value


def read_words(value: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The words of a list with commas or spaces."""
    return tuple(word for word in re.split(r"[\s,]+", read_text(value, environ)) if word)


def read_conditions(value: str, environ: Mapping[str, str]) -> tuple[Condition, ...]:
    """The conditions of a list with commas."""
    from evolink_mcp.settings.claims import Condition

    parts = (part.strip() for part in read_text(value, environ).split(","))
    return tuple(Condition.parse(part) for part in parts if part)


def read_client(value: str, _environ: Mapping[str, str]) -> tuple[str, str]:
    """The id and secret of a client at the identity provider. What is wrong is said without showing it."""
    if placeholder := unfilled_secret(value):
        raise Unfilled(placeholder, whole=placeholder == value)
    client_id, _, secret = value.partition(":")
    if not client_id or not secret:
        raise ValueError("must be written as id:secret.")
    return client_id, secret


def is_loopback(host: str) -> bool:
    """Whether a host, as written in a URL, is this machine. Every rule on loopback asks this function."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
