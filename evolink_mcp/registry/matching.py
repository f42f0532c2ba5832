"""Models for a wish: best first, each with what speaks for it and what it lacks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from evolink_mcp.registry.amounts import Need
from evolink_mcp.registry.lacking import MAX_NEAREST, doubts, in_words, nobody, priced, weight
from evolink_mcp.registry.measures import MEASURES, holds
from evolink_mcp.registry.spec import Model
from evolink_mcp.registry.traits import Traits, weights_of
from evolink_mcp.registry.wishes import Language, Wish, tokens, words

MAX_MATCHES = 10
NO_PRICES = "No price is known here: small and quick models come first."
NO_SPEEDS = "No page tells how many seconds a model takes; quick is what pages call so."
OTHERS_FIT = "{} more fit but for {}: leave that word out to see them."
MIN_LED = 3
"""Quick or careful models that fit: where there are so many, others are left out."""
Row = tuple[float, float, Traits]
"""What a model lacks by weight, what speaks for it, and the model."""
Prices = Mapping[str, tuple[float, float]]
"""The least and the most credits that a call of a model is known to cost, by id."""

_WISHES = frozenset({"cheap", "quick", "careful", "long"})
"""They order models, and keep none out."""
_STATUS = {"active": 0, "legacy": 1, "name-only": 2, "placeholder": 3}


@dataclass(frozen=True, slots=True)
class Match:
    """A model, and in a few words what fits and what it lacks."""

    model: Model
    why: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(slots=True)
class Matches:
    """The answer to a search: at most ten models, how many more fit, and what has to be said."""

    matches: list[Match] = field(default_factory=list[Match])
    more: int = 0
    notes: list[str] = field(default_factory=list[str])


class Finder:
    """Searches some models. Made once for them; a search takes milliseconds."""

    def __init__(self, models: Iterable[Model], defaults: Iterable[str]) -> None:
        self._traits = {model.id: Traits(model) for model in models}
        self._defaults = frozenset(defaults)
        self._order = {name: place for place, name in enumerate(self._traits)}
        judged = words()["judged"]
        self._weak = frozenset(words()["weak"]["words"])
        self._judged: dict[str, dict[str, int]] = {
            trait: {name: place for place, name in enumerate(names)} for trait, names in judged.items()
        }

    @cached_property
    def _language(self) -> Language:
        return Language([traits.model for traits in self._traits.values()])

    @cached_property
    def _said(self) -> Mapping[str, Mapping[str, int]]:
        """What is said of each model, word by word, each with its weight."""
        return {name: weights_of(traits) for name, traits in self._traits.items()}

    @cached_property
    def _lengths(self) -> Mapping[str, int]:
        """How many words and numbers each model's name has: a search asks that of every model."""
        return {name: len(tokens(name)) for name in self._traits}

    @cached_property
    def _vocabulary(self) -> set[str]:
        return {word for said in self._said.values() for word in said}

    def facts(self, name: str) -> str:
        """What one chooses a model by, in one line."""
        traits = self._traits[name]
        marks = "quick" * self._quick(traits), "careful" * self._careful(traits)
        return ", ".join(filter(None, [traits.facts(), *marks]))

    def wants_price(self, query: str) -> bool:
        """Whether a query asks for a low price."""
        return any(need.text == "cheap" for need in self._language.read(query, self._vocabulary).needs)

    def find(self, query: str, names: Sequence[str], prices: Prices) -> Matches:
        """The models among ``names`` that fit a query in plain words."""
        wish = self._language.read(query, self._vocabulary)
        if wish.absent:
            nearest = self._language.read(wish.instead, self._vocabulary)
            kinds = [need for need in wish.needs if need.text.startswith("kind:")]
            nearest.without, nearest.unwanted = wish.without, wish.unwanted
            nearest.needs = list(dict.fromkeys([*nearest.needs, *kinds]))
            answer = self._rank(nearest, names, prices)
            return Matches(answer.matches[:MAX_NEAREST], 0, [wish.absent, *answer.notes])
        return self._rank(wish, names, prices)

    def _rank(self, wish: Wish, names: Sequence[str], prices: Prices) -> Matches:
        candidates = [self._traits[name] for name in names if name not in wish.unwanted]
        wished, notes = priced(wish.needs, candidates, prices)
        needs = self._without_conflict(wished, candidates)
        hard = [need for need in needs if need.text not in _WISHES]
        wanted = {need.text for need in needs} & _WISHES
        searched = [word for word in wish.words if word in self._vocabulary]
        if not needs and not searched and not wish.without:
            return Matches(notes=[f"No model's page speaks of: {', '.join(wish.words[:8])}."] if wish.words else [])
        rows: list[Row] = []
        for traits in candidates:
            missing = sum(weight(need) * (1 - self._met(need, traits)) for need in hard)
            score = sum(self._bonus(need, traits) for need in hard) + self._talk(searched, traits)
            score -= 0.5 * (bool(traits.model.superseded_by) and traits.model.id not in self._defaults)
            score += sum(self._leaning(wish_for, traits, prices) for wish_for in wanted)
            rows.append((round(missing, 2), score, traits))
        if searched and not hard and not wanted:
            rows = [row for row in rows if row[1] > 0]
        rows.sort(key=lambda row: (row[0], _STATUS[row[2].model.status], -round(row[1], 2), *self._standing(row[2])))
        least = rows[0][0] if rows else 0.0
        fitting = [row for row in rows if row[0] == 0.0]
        near = min(sum(map(weight, hard)), 2 * least)
        best = fitting or [row for row in rows if row[0] < near][:MAX_NEAREST] or rows[:MAX_NEAREST]
        others: list[str] = []
        for wish_for, holds_of in (("quick", self._quick), ("careful", self._careful)):
            if wish_for in wanted and sum(holds_of(row[2]) for row in fitting) >= MIN_LED:
                best = [row for row in fitting if holds_of(row[2])]
                others += [OTHERS_FIT.format(more, wish_for)] if (more := len(fitting) - len(best)) else []
                fitting = best
        if fitting and searched and not hard:
            best = [row for row in fitting if row[1] * 2 >= fitting[0][1]]
        notes += [f"Left out: {', '.join(wish.without)}."] if wish.without else []
        notes += [NO_PRICES] if "cheap" in wanted and best and not prices else []
        notes += [*([NO_SPEEDS] if "quick" in wanted and best else []), *others]
        if fitting and len(best) < MAX_MATCHES:
            notes += doubts(hard, [row[2] for row in rows], self._met)
        if least > 0:
            notes.insert(0, nobody(hard, [row[2] for row in rows], self._met, prices))
        matches = [self._match(row[2], hard, wanted) for row in best[:MAX_MATCHES]]
        return Matches(matches, max(len(best) - MAX_MATCHES, 0), notes)

    def _without_conflict(self, needs: Sequence[Need], candidates: Sequence[Traits]) -> list[Need]:
        """The needs without kinds and weak words that the others rule out: who animates a picture wants no picture."""
        kinds = [need for need in needs if need.text.startswith("kind:")]
        if len(kinds) > 1:  # a film is made of pictures, a picture of no film
            kinds = [need for need in kinds if need.text == "kind:video"] or kinds[:1]
            if {"kind:image", "kind:video"} <= {each.text for each in needs}:
                kinds.append(Need("word", "image-to-video"))
        weak = [need for need in needs if need.text in self._weak]
        strong = [need for need in needs if need not in weak and not need.text.startswith("kind:")]
        wishes = [need for need in strong if need.text in _WISHES]
        strong = [need for need in strong if need not in wishes]
        if (
            not kinds
            and {need.kind for need in strong} <= {*MEASURES} - {"name"}
            and any(need.kind in ("seconds", "shorter", "fps") for need in strong)
            and not any(self._only_heard(need, candidates) for need in weak)
        ):
            kinds = [Need("word", "kind:video")]
        rest: list[Need] = []
        measured = [need for need in strong if need.kind not in ("name", "word", "image", "video", "audio")]
        for need in (*(need for need in strong if need not in measured), *kinds, *weak, *measured):
            able = [traits for traits in candidates if self._met(need, traits) == 1]
            if able or need in strong:
                rest.append(need)
                candidates = able or candidates
        return [*rest, *wishes]

    def _only_heard(self, need: Need, candidates: Sequence[Traits]) -> bool:
        """Whether sounds alone meet a need, as they do speech."""
        able = [traits for traits in candidates if self._met(need, traits) == 1]
        return bool(able) and all(traits.model.endpoint == "audio" for traits in able)

    def _met(self, need: Need, traits: Traits) -> float:
        """1 where a need is met, 0 where not, between where nothing is known."""
        if need.kind == "word":
            return max(holds(each, traits) for each in need.text.split(" | "))
        return MEASURES[need.kind](need, traits)

    def _bonus(self, need: Need, traits: Traits) -> float:
        """What speaks for a model beyond meeting a need."""
        if need.kind == "name":
            place = need.names.index(traits.model.id) if traits.model.id in need.names else len(need.names)
            share = need.amount / self._lengths[traits.model.id]
            return 2 - place / 20 if need.text in self._language.nicknames else 3 * share
        if need.text == "legible":
            place = self._judged["legible"].get(traits.model.id)
            return 0.0 if place is None else 1 - place / 20
        if need.kind == "word" and " | " in need.text:
            ways = need.text.split(" | ")
            return max(
                ((len(ways) - place) / len(ways) for place, way in enumerate(ways) if holds(way, traits)),
                default=0,
            )
        if need.text in ("sound", "silent") and traits.sound in ("always", "never"):
            return 0.2
        return 0.0

    def _leaning(self, wish: str, traits: Traits, prices: Prices) -> float:
        """How much a model is what a wish for price, speed, care or length leans to."""
        name, small = traits.model.id, traits.model.id in self._judged["small"]
        if wish == "cheap":
            if prices:
                # The lower, the more; of equal ones a small model stands for what others charge more for elsewhere.
                return 10 / (1 + prices[name][0]) + small / 10 if name in prices else 0.0
            return 2.0 * small + self._quick(traits)
        if wish == "quick":
            return 2.0 * self._quick(traits)
        if wish == "careful":
            place = self._judged["careful"].get(name)
            return 0.0 if place is None else 2 - place / 50
        return traits.longest / 10

    def _quick(self, traits: Traits) -> bool:
        return "fast" in traits.model.capabilities

    def _careful(self, traits: Traits) -> bool:
        return traits.model.id in self._judged["careful"]

    def _talk(self, searched: Sequence[str], traits: Traits) -> float:
        """How much of the remaining words is said of a model; a word that is said of few counts more."""
        said = self._said[traits.model.id]
        return sum(said.get(word, 0) * self._rarity[word] for word in searched)

    @cached_property
    def _rarity(self) -> Mapping[str, float]:
        count: dict[str, int] = {}
        for said in self._said.values():
            for word in said:
                count[word] = count.get(word, 0) + 1
        return {word: 1 / (1 + times / 10) for word, times in count.items()}

    def _standing(self, traits: Traits) -> tuple[object, ...]:
        model = traits.model
        default = model.id in self._defaults
        return (
            not default,
            model.beta,
            not model.head,
            self._order[model.id],
        )

    def _match(self, traits: Traits, hard: Sequence[Need], leading: Iterable[str]) -> Match:
        why = [self._reason(need, traits) for need in hard if self._met(need, traits) == 1]
        lacks = [in_words(need) for need in hard if self._met(need, traits) < 1]
        leanings: dict[str, Callable[[Traits], bool]] = {
            "quick": self._quick,
            "careful": self._careful,
            "cheap": lambda each: each.model.id in self._judged["small"],
        }
        why += [wish if wish != "cheap" else "light" for wish in leading if wish in leanings and leanings[wish](traits)]
        return Match(traits.model, tuple(dict.fromkeys(filter(None, why))), tuple(dict.fromkeys(lacks)))

    def _reason(self, need: Need, traits: Traits) -> str:
        if need.kind == "name" or need.text.startswith("kind:"):
            return ""
        if need.kind == "word":
            return next((way for way in need.text.split(" | ") if holds(way, traits) == 1), "")
        return in_words(need)

    def resolve_nickname(self, name: str) -> tuple[str, ...]:
        """The models that people call so, best first; empty where it is no nickname."""
        needs = self._language.read(name, self._vocabulary).needs
        return next((need.names for need in needs if need.text in self._language.nicknames), ())
