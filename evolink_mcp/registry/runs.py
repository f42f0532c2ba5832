"""Runs of words and what they stand for; the names that a query leaves out."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

V = TypeVar("V")
Table = Mapping[str, Sequence[tuple[tuple[str, ...], V]]]
"""Runs of words and what they stand for, by their first word."""


def by_first(entries: Mapping[tuple[str, ...], V]) -> Table[V]:
    table: dict[str, list[tuple[tuple[str, ...], V]]] = {}
    for run, value in entries.items():
        table.setdefault(run[0], []).append((run, value))
    return table


def longest(table: Table[V], run: Sequence[str], place: int, skip: frozenset[str] | set[str]) -> tuple[int, V | None]:
    """The longest entry that begins at a place, and how many words it takes; words of ``skip`` may stand between."""
    best: tuple[int, V | None] = (0, None)
    for key, value in table.get(run[place], ()):
        end, at = place, 0
        while at < len(key) and end < len(run):
            if run[end] == key[at]:
                at += 1
            elif run[end] not in skip:
                break
            end += 1
        if at == len(key) and end - place > best[0]:
            best = (end - place, value)
    return best


class Refusals:
    """The words that leave out the models named behind them: ``not veo``, ``anything but sora or kling``."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._phrases = by_first({tuple(str(each).split()): True for each in data["phrases"]})
        self._between = frozenset(str(data["between"]).split())
        self._joins = frozenset(str(data["joins"]).split())
        self.words = {word for phrases in self._phrases.values() for phrase, _ in phrases for word in phrase}

    def read(self, run: Sequence[str], place: int, names: Table[Mapping[str, None]]) -> tuple[int, list[str], set[str]]:
        """What is left out at a place: how many words say it, the names as written, and their models."""
        said, _ = longest(self._phrases, run, place, frozenset())
        at, end, unwanted, ids = place + said, place, list[str](), set[str]()
        while said and at < len(run):
            while at < len(run) and run[at] in self._between:
                at += 1
            count, named = longest(names, run, at, frozenset()) if at < len(run) else (0, None)
            if not named:
                break
            unwanted.append(" ".join(run[at : at + count]))
            ids |= {*named}
            at = end = at + count
            if at == len(run) or run[at] not in self._joins:
                break
            at += 1
        return end - place, unwanted, ids
