"""Whose EvoLink key pays for whom: the operator's, or one of a file that names people and groups.

The file is TOML, a line each, and the first that fits counts: ``"groups=film" = "sk-…"``, ``"*" = "sk-…"``. It is read
again when it changes, as a mounted secret does, once it has been left alone for a second: half a file is valid TOML,
and those whom it does not name yet would be paid for by somebody else. One that is written in place, and names fewer
than before, has to say so for longer: its writer may have been held up.
"""

from __future__ import annotations

import logging
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evolink_mcp.errors import SettingsError
from evolink_mcp.settings.claims import Condition
from evolink_mcp.settings.readers import read_key

EVERYBODY = "*"
CHECK_SECONDS = 1.0
CUT_SECONDS = 10.0  # for a file that may be cut
MAX_BYTES = 64 * 1024  # a thousand lines: it is read, and searched, while calls wait

Lines = tuple[tuple[Condition | None, str], ...]
Version = tuple[int, int, int]

logger = logging.getLogger(__name__)


class Keys:
    """The keys. Without a file everybody's is ``default``.

    Raises:
        SettingsError: The file cannot be used.
    """

    def __init__(self, default: str | None, file: Path | None) -> None:
        self._default = default
        self._file = file
        self._lines: Lines = ()
        self._version: Version | None = None
        self._seen: Version | None = None  # at the look before
        self._looked_at = self._fewer_at = time.monotonic()
        self._fewer: Lines | None = None  # what it may be cut to, and has said since ``_fewer_at``
        self._is_moved = False  # into place whole, as far as anybody can tell
        if file is not None:
            try:
                self._version = self._seen = _version(file)
                self._lines = read_keys(file)
            except (OSError, ValueError) as problem:
                raise SettingsError([f"EVOLINK_KEYS_FILE {_words(problem)}"]) from None

    @property
    def all(self) -> tuple[str, ...]:
        """Every key there is."""
        keys = (*(key for _, key in self._lines), *([self._default] if self._default else []))
        return tuple(dict.fromkeys(keys))

    def key_for(self, claims: Mapping[str, Any]) -> str | None:
        """The key that pays for somebody of whom these claims are true; ``None`` where none does."""
        self._look()
        lines = self._lines
        return next((key for condition, key in lines if condition is None or condition.holds(claims)), self._default)

    def _look(self) -> None:
        """Reads the file again if it has changed. While it cannot be used, what it said before holds."""
        now = time.monotonic()
        if self._file is None or now - self._looked_at < CHECK_SECONDS:
            return
        self._looked_at = now
        try:
            version = _version(self._file)
        except OSError:
            version = self._fewer = None
        left_alone = version == self._seen or _age(version) >= CHECK_SECONDS
        if version != self._seen:
            self._is_moved = bool(version and self._seen and version[1] != self._seen[1])
            self._seen = version
        if version == self._version or not left_alone:
            return
        self._version = version  # first: a file that cannot be used is told of once
        try:
            lines = read_keys(self._file)
            if _version(self._file) != version:  # written meanwhile
                return
            if not self._is_moved and self._may_be_cut(lines, version, now):
                self._version = None  # to be read again
                return
            self._lines, self._fewer = lines, None
            logger.info("EVOLINK_KEYS_FILE was read again: %d keys", len(self._lines))
        except (OSError, ValueError) as problem:
            self._fewer = None
            logger.warning("EVOLINK_KEYS_FILE %s What it said before still counts.", _words(problem))

    def _may_be_cut(self, lines: Lines, version: Version | None, now: float) -> bool:
        """Whether somebody whom the file named before is missing, and its writer may be held up.

        Not once it has been left alone for ten seconds, or has said the same for as long, however often it is written.
        """
        if {who for who, _ in self._lines} <= {who for who, _ in lines}:
            return False
        if lines != self._fewer:
            self._fewer, self._fewer_at = lines, now
        return max(now - self._fewer_at, _age(version)) < CUT_SECONDS


def read_keys(file: Path) -> Lines:
    """The lines of a file of keys, ``None`` for everybody.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds something else. No key is in the message.
    """
    if file.exists() and not file.is_file():
        raise ValueError("cannot be read: it is not a file.")  # a pipe would be waited for, and with it every call
    with file.open("rb") as opened:
        raw = opened.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"names a file of more than {MAX_BYTES} bytes.")
    if not raw.strip():
        raise ValueError("names an empty file. One that names nobody has a comment.")
    try:
        content = tomllib.loads(raw.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise ValueError('names a file that is not TOML of lines such as "groups=film" = "sk-…".') from None
    lines: list[tuple[Condition | None, str]] = []
    for who, value in content.items():
        try:
            condition = None if who == EVERYBODY else Condition.parse(who)
            if not isinstance(value, str) or not value:
                raise ValueError("has no key in quotation marks.")
            lines.append((condition, read_key(value, {})))
        except ValueError as problem:
            raise ValueError(f"has a line of {who[:40]!r} that {problem}") from None
    return tuple(lines)


def _version(file: Path) -> Version:
    state = file.stat()
    return state.st_mtime_ns, state.st_ino, state.st_size


def _age(version: Version | None) -> float:
    """How long ago the file was written, in seconds; less than nothing where that cannot be told."""
    return time.time() - version[0] / 1e9 if version is not None else -1.0


def _words(problem: OSError | ValueError) -> str:
    if isinstance(problem, OSError):
        return f"cannot be read ({problem.strerror or type(problem).__name__})."
    return str(problem)
