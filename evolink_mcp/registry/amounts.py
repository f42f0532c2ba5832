"""Numbers of a query with what they count, and the limits that words set before them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_BARE_TIERS = {"480", "512", "720", "768", "1080", "1440", "2160"}
_SECONDS = {"s", "sec", "second", "sek", "sekunde", "sekunden", "seconde", "segundo"}
_MINUTES = {"min", "minute", "minuten", "minuto"}
_MEGABYTES = {"mb", "megabyte", "mib"}
_FRAMES = {"fps", "hz"}
_LENGTHS = {"character", "char", "letter", "token"}
_PIECES = {"version", "variant", "variation", "option", "output", "result", "copy", "alternative"}
_SHOTS = {"shot", "scene", "cut"}
_INPUTS = {
    **dict.fromkeys(("reference", "ref", "input", "image", "picture", "photo", "frame"), "image"),
    **dict.fromkeys(("clip", "video", "film"), "video"),
    **dict.fromkeys(("sound", "song", "recording"), "audio"),
}
_REFERENCES = {"reference", "ref", "input", "source", "sample"}
_HOURS = {"hour", "h", "hr", "stunde", "stunden", "heure", "hora"}
_CREDITS = {"credit"}
_LIMITS = {"over", "under", "atmost"}  # what the data rewrite "longer than", "less than", "at most" and their kin to


@dataclass(frozen=True, slots=True)
class Need:
    """One thing a query asks for.

    ``kind`` is ``name``, ``word`` (a need as the data write it), or what a number counts: ``seconds``, ``shorter`` (the
    most seconds), ``credits`` (the most), ``tier``, ``ratio``, ``fps``, ``mb``, ``length``, ``n``, or ``image``,
    ``video`` and ``audio`` of inputs. ``names`` are the models of a name, best first, or those that cost no more.
    """

    kind: str
    text: str
    amount: float = 0.0
    names: tuple[str, ...] = ()


SEVERAL = Need("n", "several at once", 2)


class Amounts:
    """Reads numbers. ``numbers`` are those that people write as words."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        self._numbers = numbers

    def read(self, run: Sequence[str], place: int) -> tuple[int, Need | None]:
        """What is counted at a place, and how many words say it. Lengths are whole seconds: over 5 s is 6 s."""
        limit = run[place]
        if limit not in _LIMITS:
            return self._number(run, place)
        counted, need = self._number(run, place + 1) if place + 1 < len(run) else (0, None)
        match need, limit:
            case Need("seconds", text, amount), "over":
                need = Need("seconds", f"over {text}", amount + 1)
            case Need("seconds", text, amount), "under":
                need = Need("shorter", f"a length under {text}", amount - 1)
            case Need("seconds", text, amount), _:
                need = Need("shorter", f"a length of at most {text}", amount)
            case Need("credits", _, amount), "over":
                need = None  # nobody minds paying less
            case Need("credits", _, amount), "under":
                need = Need("credits", f"a price under {_credits(amount)}", amount - 1e-9)
            case Need("credits"), _:
                pass
            case _:
                return 0, None
        return counted + 1, need

    def _number(self, run: Sequence[str], place: int) -> tuple[int, Need | None]:
        """A number with its unit, and how many words the two take."""
        word = run[place]
        if ":" in word:
            return 1, Need("ratio", word)
        if "x" in word and word.replace("x", "").isdigit():
            return 1, Need("ratio", word)
        amount = float(word) if _NUMBER.fullmatch(word) else self._numbers.get(word)
        if amount is None:
            return 0, None
        unit = run[place + 1] if place + 1 < len(run) else ""
        after = run[place + 2] if place + 2 < len(run) else ""
        for units, kind, factor, sign in (
            (_SECONDS, "seconds", 1, "s"),
            (_MINUTES, "seconds", 60, "s"),
            (_MEGABYTES, "mb", 1, "MB"),
            (_HOURS, "seconds", 3600, "s"),
            (_FRAMES, "fps", 1, "fps"),
            (_LENGTHS if amount >= 100 else (), "length", 1, "characters"),
        ):
            if unit in units:
                return 2, Need(kind, f"{amount * factor:g} {sign}", amount * factor)
        if unit in _CREDITS:
            return 2, Need("credits", f"a price of at most {_credits(amount)}", amount)
        if unit in ("k", "p") and word[0].isdigit():
            return 2, Need("tier", f"{word}{'K' if unit == 'k' else 'p'}")
        if word in _BARE_TIERS:
            return 1, Need("tier", f"{word}p")
        if unit in _PIECES or (unit, after) == ("at", "once"):
            return 2, Need("n", f"{amount:g} at once", amount)
        if [*run[place + 2 : place + 4]] == ["at", "once"]:
            return 1, Need("n", f"{amount:g} at once", amount)
        if unit in _SHOTS:
            return 2, Need("word", "multi-shot")
        if unit in _REFERENCES and after in _INPUTS and after not in _REFERENCES:
            return 3, _input(after, amount)
        if unit in _INPUTS and (amount > 1 or unit in _REFERENCES):
            return 2, _input(unit, amount)
        return 0, None


def _credits(amount: float) -> str:
    return f"{amount:g} credit{'s' * (amount != 1)}"


def _input(word: str, amount: float) -> Need:
    kind = _INPUTS[word]
    shown = {"image": "pictures", "video": "clips", "audio": "sounds"}[kind]
    return Need(kind, f"{amount:g} {shown} in", amount)
