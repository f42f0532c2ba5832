"""Files whose names were changed on their way here: by a host, a model, or our own answers.

macOS puts U+202F into the names of screenshots, hosts make it a plain space. Unicode writes ``é`` in two ways, and file
systems keep one of them. Direction marks, joiners and bytes that are no text are lost or replaced where a path is
shown. So a name that is not there stands for the one name in its folder that looks the same, else for the one that
differs from it only in case.
"""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from heapq import nlargest
from pathlib import Path

from evolink_mcp.guard.text import REPLACEMENT, clean_text

MAX_NAMES = 5_000  # of a folder, that are compared
MAX_GUESSED_PAIRS = 500_000  # of characters, one of each name, between this and those that a nearest is chosen from


def find_nearby(path: Path, roots: Sequence[Path]) -> tuple[Path | None, str]:
    """The file below one of the ``roots`` that looks like ``path``; else the nearest name in the last folder reached.

    Nothing outside the roots is looked at, and nothing in a folder that may be passed but not listed.
    """
    parts = Path(os.path.abspath(path)).parts
    for root in roots:
        length = len(root.parts)
        if list(map(_fold, root.parts)) == list(map(_fold, parts[:length])):
            return _walk(root, parts[length:])
    return None, ""


def _walk(root: Path, steps: Sequence[str]) -> tuple[Path | None, str]:
    place = root
    for step in steps:
        if not os.path.lexists(place / step):
            if not place.resolve().is_relative_to(root.resolve()):  # a link leads out of it
                return None, ""
            looks, look = {name: _fold(name) for name in _names(place)}, _fold(step)
            alike = [name for name, each in looks.items() if each == look]
            alike = alike or [name for name, each in looks.items() if each.casefold() == look.casefold()]
            if len(alike) != 1:
                nearest = alike or difflib.get_close_matches(step, _guesses(looks, step), 1, 0.6)
                return None, _shown(place / nearest[0]) if nearest else ""
            step = alike[0]
        place = place / step
    return place, ""


def _shown(path: Path) -> str:
    """A path as it can be shown and sent back: a ``file:`` link where a character of it would not survive that."""
    text = str(path)
    return text if clean_text(text) == text and "\n" not in text else path.as_uri()


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for _, entry in zip(range(MAX_NAMES), entries, strict=False)]
    except OSError:
        return []


def _guesses(names: Iterable[str], name: str) -> list[str]:
    """The names that a nearest one is chosen from: as long as the one that is not there, or nearly, and of too many
    those that begin and end most like it."""
    near = [each for each in names if 0.5 <= len(each) / len(name) <= 2]
    most = max(1, MAX_GUESSED_PAIRS // len(name) ** 2)
    if len(near) <= most:
        return near
    backwards = name[::-1]
    return nlargest(most, near, lambda each: _shared(each, name) + _shared(each[::-1], backwards))


def _shared(one: str, other: str) -> int:
    """How many characters two names begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _fold(name: str) -> str:
    """A name as it looks: one form of composed letters, one kind of space, nothing invisible, nothing unreadable."""
    composed = unicodedata.normalize("NFC", name)
    if composed.isprintable():
        return composed  # most, and in no time: a folder has thousands
    return "".join(each if each.isprintable() else _seen(each) for each in composed)


def _seen(character: str) -> str:
    match unicodedata.category(character):
        case "Zs" | "Zl" | "Zp":
            return " "
        case "Cf" | "Cc":
            return " " if character.isspace() else ""
        case "Cs":
            return REPLACEMENT
        case _:
            return character
