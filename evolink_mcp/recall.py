"""What this program answered last time under the same circumstances: one small file in the user's cache folder.

It holds what clients are told, the folders for files that the instructions name among it, under hashes of their
questions; never a key. Only its user can read it. Nothing that is wrong with the file or its folder is more than a
start without it. Loads nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from evolink_mcp import __version__, cache

MAX_FILES, MAX_FILE_BYTES = 32, 1_000_000
MAX_ANSWERS = 24  # of one file
CLOSE_SECONDS = 0.5
ROOMS = ("", "tools", "sdk", "registry", "registry/data", "card", "skills")  # whose code makes the answers
LIBRARIES = ("mcp-", "mcp_types-", "pydantic-")

Answer = dict[str, Any]


def digest(*values: object) -> str:
    """A name for some JSON values that tells nothing of them."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


class Recall:
    """The answers in one file, by the digest of their question."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._answers = _read(path)
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None

    def __bool__(self) -> bool:
        return bool(self._answers)

    def get(self, key: str) -> Answer | None:
        return self._answers.get(key)

    def keep(self, key: str, answer: Answer | None) -> None:
        """Takes an answer in place of the last one; ``None`` forgets it. It is written down by a thread."""
        if answer == self._answers.get(key):
            return
        self._answers.pop(key, None)
        if answer is not None:
            self._answers[key] = answer
        while len(self._answers) > MAX_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._writer = threading.Thread(target=self._save, daemon=True, name="recall")
        self._writer.start()

    def close(self) -> None:
        """Lets what is being written be written, for a moment."""
        if self._writer is not None:
            self._writer.join(CLOSE_SECONDS)

    def _save(self) -> None:
        """Writes the file, whole or not at all, and removes the oldest of too many."""
        with self._lock, suppress(OSError):
            cache.write(self._path, json.dumps(dict(self._answers)).encode(), MAX_FILES)


def recall_of(words: Sequence[str]) -> Recall | None:
    """What is recalled of starts with these words; ``None`` where this user has no cache folder."""
    if os.name == "nt":
        folder = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        folder = os.path.expanduser("~/Library/Caches")
    else:
        folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(folder):
        return None
    return Recall(os.path.join(folder, "evolink-mcp", f"{digest(*_circumstances(words))}.json"))


def _circumstances(words: Sequence[str]) -> list[object]:
    """All that answers depend on beside the question.

    Versions, code, settings with the files they name, arguments, and the folders that the instructions name.
    """
    package = os.path.dirname(__file__)
    folders = [os.path.expanduser("~")]
    with suppress(OSError):
        folders.append(os.getcwd())
    settings = {name: value for name, value in os.environ.items() if name.startswith("EVOLINK_")}
    rooms = [os.path.join(package, room) for room in ROOMS]
    code = [_stamp(each.path) for room in rooms if os.path.isdir(room) for each in os.scandir(room) if each.is_file()]
    libraries = [
        name
        for folder in sys.path
        if folder.endswith("-packages") and os.path.isdir(folder)
        for name in os.listdir(folder)
        if name.startswith(LIBRARIES)
    ]
    files = sorted(_stamp(value) for value in settings.values())
    return [__version__, sys.version, sorted(code), sorted(libraries), settings, files, folders, list(words)]


def _stamp(path: str) -> str:
    """What changes with the content of a file; "" where it is none."""
    with suppress(OSError, ValueError):
        facts = os.stat(path)
        if stat.S_ISREG(facts.st_mode):
            return f"{path} {facts.st_mtime_ns} {facts.st_size}"
    return ""


def _read(path: str) -> dict[str, Answer]:
    """The answers in a file; none where it is missing, damaged or another's."""
    with suppress(ValueError, RecursionError):
        value: object = json.loads(cache.read(path, MAX_FILE_BYTES, private=True) or b"{}")
        if isinstance(value, dict) and all(isinstance(each, dict) for each in cast("Answer", value).values()):
            return cast("dict[str, Answer]", value)
    return {}
