"""A query read: names, kinds, abilities, numbers with units, and the words that remain.

The words people use are data (``data/search.toml``). A need is written as there: a kind, a capability, a trait, or a
parameter with or without a value, with ``|`` between what would do as well.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from evolink_mcp.registry.amounts import SEVERAL, Amounts, Need
from evolink_mcp.registry.runs import Refusals, by_first, longest
from evolink_mcp.registry.spec import Model

MAX_WORDS = 40
"""Of a query: more of them say no more, and each costs time."""
PATH = Path(__file__).parent / "data" / "search.toml"

_TOKEN = re.compile(r"\d{1,2}:\d{1,2}|\d{3,5} ?x ?\d{3,5}|\d{1,6}(?:\.\d{1,3})?|[^\W\d_]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(slots=True)
class Wish:
    """A query read."""

    needs: list[Need] = field(default_factory=list[Need])
    words: list[str] = field(default_factory=list[str])
    """What is neither a need nor without meaning, to be looked for in what is said of a model."""
    without: dict[str, None] = field(default_factory=dict[str, None])
    """Names whose models are not wanted, as written."""
    unwanted: set[str] = field(default_factory=set[str])
    """The ids of these models."""
    absent: str = ""
    """What to say of a thing that no model makes."""
    instead: str = ""
    """The query for what comes nearest to it."""


def plain(text: str) -> str:
    """Lower case, without hyphens between words and typographer's signs."""
    text = (
        unicodedata.normalize("NFKC", text[:400])
        .lower()
        .replace("×", "x")
        .replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    return re.sub(r"(?<=[a-z])[-_](?=[a-z0-9])|'s\b", " ", text)


def stem(word: str) -> str:
    """A word without its plural s."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def tokens(text: str) -> list[str]:
    """The words and numbers of a text; ``3.0`` is 3, and the v of a version is left out."""
    found = [token.replace(" ", "") for token in _TOKEN.findall(plain(text))]
    found = [re.sub(r"\.0+$", "", token) if _NUMBER.fullmatch(token) else stem(token) for token in found]
    return [
        token
        for place, token in enumerate(found)
        if token != "v" or place + 1 == len(found) or not _NUMBER.fullmatch(found[place + 1])
    ]


class Language:
    """The words of the data file beside the names of some models."""

    def __init__(self, models: Sequence[Model]) -> None:
        data = words()
        self.ignore = {stem(word) for word in str(data["ignore"]).split()}
        self.rewrite = {plain(old): new for old, new in data["rewrite"].items()}
        self.numbers: Mapping[str, float] = data["numbers"]
        self._amounts = Amounts(self.numbers)
        self.phrases: dict[tuple[str, ...], str] = {}
        for need, phrases in data["words"].items():
            self.phrases |= {tuple(tokens(phrase)): need for phrase in phrases}
        self.absent: dict[tuple[str, ...], tuple[str, str]] = {}
        self.together: list[tuple[set[str], tuple[str, str]]] = []
        for row in data["absent"].values():
            words_of = row.get("words", ())
            self.absent |= {tuple(tokens(word)): (row["say"].format(word=word), row["nearest"]) for word in words_of}
            if "needs" in row:
                self.together.append(({*row["needs"]}, (row["say"], row["nearest"])))
        for model in models:
            for name, one in model.parameters.items():
                inner = ({*one.properties} if one.properties else set[str]()) | {name}
                self.phrases |= {
                    key: each for each in inner if "_" in each and (key := tuple(tokens(each))) not in self.phrases
                }
        self.nicknames = frozenset(" ".join(tokens(name)) for name in data["nicknames"])
        names = _names(models, data)
        self.brands = {token for run in names for token in run if len(token) > 3 and token.isalpha()}
        self._refusals = Refusals(data["without"])
        tokens_of_data = {token for run in (*self.phrases, *self.absent) for token in run}
        self._names, self._phrases, self._absent = by_first(names), by_first(self.phrases), by_first(self.absent)
        self._familiar = tokens_of_data | self._refusals.words | self.ignore | self.brands | {*self.numbers}

    def read(self, query: str, vocabulary: set[str]) -> Wish:
        """What a query asks for. Of words that nobody knows, those that look like a name are taken for it."""
        text = f" {' '.join(plain(query).split())} "
        for old, new in self.rewrite.items():
            text = re.sub(rf"(?<=\W){re.escape(old)}(?=\W)", new, text)
        run = tokens(text)[:MAX_WORDS]
        run = [word if word in vocabulary or word in self._familiar else self._mended(word) for word in run]
        wish, place = Wish(), 0
        while place < len(run):
            place += self._step(run, place, wish)
        if SEVERAL in wish.needs and any(need.kind in ("image", "n") for need in wish.needs if need != SEVERAL):
            wish.needs = [
                Need("n", f"{need.amount:g} at once", need.amount) if need.kind == "image" else need
                for need in wish.needs
                if need != SEVERAL
            ]
        if any(need.kind == "credits" for need in wish.needs):
            wish.needs.append(Need("word", "cheap"))
        wish.needs = list(dict.fromkeys(wish.needs))
        if not wish.absent:
            wish.absent, wish.instead = self._lacking_together(wish.needs)
        return wish

    def _lacking_together(self, wished: Sequence[Need]) -> tuple[str, str]:
        """What to say of needs that no model meets together, and the query for what comes nearest; empty for others,
        and where a name or another kind stands beside them."""
        asked = {need.text for need in wished}
        for needs, says in self.together:
            others = [need for need in wished if need.text not in needs]
            if needs <= asked and not any(each.kind == "name" or each.text.startswith("kind:") for each in others):
                return says
        return "", ""

    def _step(self, run: list[str], place: int, wish: Wish) -> int:
        """Reads what begins at ``place`` into ``wish``; how many words that took."""
        refused, without, ids = self._refusals.read(run, place, self._names)
        if refused:
            wish.without |= dict.fromkeys(without)
            wish.unwanted |= ids
            return refused
        counted, need = self._amounts.read(run, place)
        if counted and need is None:
            return counted
        named, names = longest(self._names, run, place, frozenset())
        said, phrase = longest(self._phrases, run, place, self.ignore)
        missing, absent = longest(self._absent, run, place, self.ignore)
        if missing and missing >= max(named, said, counted):
            wish.absent, wish.instead = absent or ("", "")
            return missing
        if need and counted >= max(named, said):
            wish.needs.append(need)
            return counted
        if names and named > said:
            wish.needs.append(Need("name", " ".join(run[place : place + named]), named, tuple(names)))
            return named
        if phrase:
            wish.needs.append(SEVERAL if phrase == "n" else Need("word", phrase))
            return said
        word = run[place]
        if word not in self.ignore and word not in self.numbers and len(word) > 1:
            wish.words.append(word)
        return 1

    def _mended(self, word: str) -> str:
        """The name that a mistyped word is, or the word."""
        return next(iter(get_close_matches(word, self.brands, 1, 0.8)), word) if len(word) > 3 else word


def _names(models: Sequence[Model], data: Mapping[str, Any]) -> dict[tuple[str, ...], dict[str, None]]:
    """Every run of words in the names of models that holds a maker's own word, with the models it names, best first."""
    makers: dict[str, set[str]] = {}
    split = {model.id: [tokens(name) for name in (model.id, *model.aliases)] for model in models}
    for model in models:
        for token in {token for name in split[model.id] for token in name}:
            makers.setdefault(token, set()).add(model.provider)
    generic = {stem(word) for word in data["generic"]["words"].split()}
    own = {word for word, by in makers.items() if len(by) == 1 and word.isalpha() and len(word) > 1} - generic
    names: dict[tuple[str, ...], dict[str, None]] = {}
    for model in models:
        names.setdefault(tuple(tokens(model.provider)), {})[model.id] = None
        for name in split[model.id]:
            others = [[*tokens(new), *name[1:]] for new in data["brands"].get(name[0], ())] if name else []
            for each in (name, *others):
                for start in range(len(each)):
                    for end in range(start + 1, len(each) + 1):
                        run = tuple(each[start:end])
                        if own & {*run} or (each is not name and not start):
                            names.setdefault(run, {})[model.id] = None
                            names.setdefault((*run[:-1], run[-1].partition(".")[0]), {})[model.id] = None
    for nickname, ids in data["nicknames"].items():
        names[tuple(tokens(nickname))] = dict.fromkeys(ids)
    return names


@cache
def words() -> Mapping[str, Any]:
    """The data file, read once."""
    return tomllib.loads(PATH.read_text(encoding="utf-8"))
