"""Keeps secrets out of whatever leaves this process, and says who a key is without it."""

from __future__ import annotations

import hashlib
import html
import math
import re
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import lru_cache
from typing import cast

from evolink_mcp.guard.text import SUSPECTS, clean_text

HIDDEN = "***"
# A shorter key is a syllable of ordinary words ("task"): it is hidden only where the text speaks of a credential.
MIN_SECRET_CHARACTERS = 8
MAX_DEPTH = 60  # of what is cleaned; JSON readers give up at depths like this
_PATTERNS = (
    re.compile(r"(?i)(bearer\s+)[^\s'\",]+"),
    re.compile(r"\b(sk-)[A-Za-z0-9_-]{6,}"),
)
_CREDENTIAL_WORDS = r"key|token|bearer|authorization|secret|password|credential"
# Patterns take runs of backslashes in steps of the square of their length: those beyond any escaping are shortened.
_LONG_RUN = re.compile(r"\\{16,}")
_SHORT_RUN = "\\" * 15
_LONGEST_ESCAPE = 12  # characters for one, as in a surrogate pair
_ESCAPES = re.compile(r"[\\%&]")
_ESCAPED = re.compile(
    r"(?i)(?P<bytes>(?:%[0-9a-f]{2})+)|(?<!\\)\\+u(?P<wide>000[0-9a-f]{5})|(?P<units>(?:(?<!\\)\\+u(?!000[0-9a-f]{5})[0-9a-f]{4})+)"
    r"|(?<!\\)\\+x(?P<byte>[0-9a-f]{2})|&#(?P<number>[0-9]{1,9});|&#x(?P<hex>[0-9a-f]{1,8});|(?P<entity>&(?:amp|lt|gt|quot);)"
)
_MAX_KEYS = 64  # whose patterns are kept; those of a busy server's callers are cheap to make again
_ODD = re.compile(rf"[\\%&{SUSPECTS}]")

# What must not be shown while a request is handled: its caller's own key or token, and the operator's.
_secrets_of_request: ContextVar[tuple[str, ...]] = ContextVar("secrets_of_request", default=())


def fingerprint(secret: str) -> str:
    """Who presented a secret, without the secret: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


class hiding:
    """Hides ``secrets`` in whatever is cleaned or logged inside the block, and in the tasks it starts."""

    __slots__ = ("_secrets", "_token")

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def __enter__(self) -> None:
        self._token = _secrets_of_request.set(self._secrets)

    def __exit__(self, *_: object) -> None:
        _secrets_of_request.reset(self._token)


def redact(text: str, *keys: str | None) -> str:
    """``text`` without the given keys, those of the request under way, and whatever looks like a key."""
    text = hide(text, *keys)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


def hide(text: str, *keys: str | None) -> str:
    """``text`` without the given keys and those of the request under way, however they are escaped."""
    for key in (*keys, *_secrets_of_request.get()):
        if key:
            text = _hider(key)(text)
    return text


def beginning(text: str, most: int, *keys: str | None) -> str:
    """The first ``most`` characters of a text, or some fewer, clean and without a part of a secret at the end."""
    secrets = [key for key in (*keys, *_secrets_of_request.get()) if key]
    margin = _LONGEST_ESCAPE * max(map(len, secrets), default=0)
    hidden = hide(clean_text(text[: most + margin]), *keys)
    # A secret that the end of this window cuts begins within the margin, which is not shown.
    return (hidden[:-margin] if margin and len(text) > most + margin else hidden)[:most]


def clean(value: object, *keys: str | None) -> object:
    """A JSON value that can be encoded and shown: without secrets, control characters and numbers JSON lacks.

    Names in objects are cleaned like values. Whatever lies deeper than ``MAX_DEPTH`` becomes "…".
    """
    secrets = [key for key in (*keys, *_secrets_of_request.get()) if key]
    hiders = [_hider(key) for key in secrets]
    spellings = [spelling for key in secrets for spelling in _spellings(key)]
    all_long = all(len(key) >= MIN_SECRET_CHARACTERS for key in secrets)

    def clean_one(text: str) -> str:
        # Most values and names are words like these: too short for a key, and a short key hides beside another word.
        if len(text) < MIN_SECRET_CHARACTERS and text.isalnum() and text.isascii():
            return text
        if all_long and not _ODD.search(text):  # nothing is escaped or to be removed
            for spelling in spellings:
                if spelling in text:
                    break
            else:
                return text
        hidden = _hide_all(text, hiders)
        cleaned = clean_text(hidden)
        # What was removed may have stood between the characters of a secret.
        return cleaned if cleaned == hidden else _hide_all(cleaned, hiders)

    return _clean(value, clean_one, MAX_DEPTH)


def _hide_all(text: str, hiders: Iterable[Callable[[str], str]]) -> str:
    for hide_one in hiders:
        text = hide_one(text)
    return text


def _clean(value: object, text: Callable[[str], str], depth: int) -> object:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict | list) and depth <= 0:
        return "…"
    if isinstance(value, dict):
        items = cast("dict[object, object]", value).items()
        return {text(str(name)): _clean(part, text, depth - 1) for name, part in items}
    if isinstance(value, list):
        return [_clean(part, text, depth - 1) for part in cast("list[object]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@lru_cache(maxsize=_MAX_KEYS)
def _spellings(secret: str) -> tuple[str, ...]:
    """How a secret may be written where nothing is escaped, the longest first."""
    return tuple(sorted({secret, clean_text(secret)} - {""}, key=len, reverse=True))


@lru_cache(maxsize=_MAX_KEYS)
def _hider(secret: str) -> Callable[[str], str]:
    """Removes one secret from texts."""
    is_short = len(secret) < MIN_SECRET_CHARACTERS
    spellings = _spellings(secret)
    bare = secret.replace("\\", "")
    signs = {bare, _unescape(secret)}

    def hide_one(text: str) -> str:
        if not is_short:
            for spelling in spellings:
                text = text.replace(spelling, HIDDEN)
        elif any(spelling in text for spelling in spellings):
            return _without(_short_pattern(secret), rf"\1\2{HIDDEN}", text)
        if not _ESCAPES.search(text):
            return text
        # The pattern of a long token takes a tenth of a second to make, and any takes long on a long text: only where
        # it will find something.
        plain = _unescape(text)
        if bare not in text.replace("\\", "") and not any(sign in plain for sign in signs):
            return text
        if is_short:
            return _without(_short_pattern(secret), rf"\1\2{HIDDEN}", text)
        return _without(_pattern(secret), HIDDEN, text)

    return hide_one


def _without(pattern: re.Pattern[str], template: str, text: str) -> str:
    """``text`` with what a pattern of one line matches replaced, line by line: other threads wait for each match."""
    lines = _LONG_RUN.sub(lambda _: _SHORT_RUN, text).split("\n")
    replaced = [pattern.subn(template, line) for line in lines]
    return "\n".join(line for line, _ in replaced) if any(count for _, count in replaced) else text


@lru_cache(maxsize=_MAX_KEYS)
def _short_pattern(secret: str) -> re.Pattern[str]:
    """A short secret where the text speaks of a credential, with what stands before it."""
    spelled = "".join(map(_any_spelling, secret))
    return re.compile(rf"(?i:\b({_CREDENTIAL_WORDS})s?\b)([^\n]{{0,40}}?)(?<![A-Za-z0-9_-]){spelled}(?![A-Za-z0-9_-])")


@lru_cache(maxsize=_MAX_KEYS)
def _pattern(secret: str) -> re.Pattern[str]:
    """One secret, each character escaped in any way."""
    return re.compile("".join(map(_any_spelling, secret)))


def _unescape(text: str) -> str:
    """``text`` with each escape that :func:`_any_spelling` knows resolved once, and without backslashes."""
    return _ESCAPED.sub(_resolve, text).replace("\\", "")


def _resolve(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    value = match[kind]
    match kind:
        case "bytes":
            return bytes.fromhex(value.replace("%", "")).decode(errors="replace")
        case "units":
            digits = re.sub(r"(?i)\\+u", "", value)
            return bytes.fromhex(digits).decode("utf-16-be", "replace")
        case "wide" | "byte" | "hex":
            return _character(int(value, 16))
        case "number":
            return _character(int(value))
        case _:
            return html.unescape(value.lower())


def _character(number: int) -> str:
    return chr(number) if number <= sys.maxunicode else "\N{REPLACEMENT CHARACTER}"


def _any_spelling(character: str) -> str:
    """A pattern of one character as JSON, Python, URLs and HTML write it, escaped once or more often."""
    plain = rf"\\*{re.escape(character)}"
    try:
        utf8, utf16 = character.encode(), character.encode("utf-16-be")
    except UnicodeEncodeError:  # half a surrogate pair
        return plain
    quoted = "".join(f"%{byte:02x}" for byte in utf8)
    escaped = "".join(rf"\\+u{high:02x}{low:02x}" for high, low in zip(utf16[::2], utf16[1::2], strict=True))
    number = ord(character)
    entity = f"&#0*{number};|&#x0*{number:x};|{re.escape(html.escape(character))}"
    return rf"(?:{plain}|(?i:{quoted}|{escaped}|\\+u{number:08x}|\\+x{number:02x}|{entity}))"
