"""Other writings of a value that a parameter lists: another case, other signs, other words."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from evolink_mcp.registry.bounds import MAX_WORD_CHARACTERS
from evolink_mcp.registry.sizes import pixels
from evolink_mcp.registry.spec import Parameter

# Where no pixels are taken, two numbers below a hundred are a ratio.
_RATIO = re.compile(r"([0-9]{1,2}) ?[:x×] ?([0-9]{1,2})")
# Blanks and other signs between two numbers, and between a number and its unit.
_BETWEEN = re.compile(r"(?<=[0-9]) ?([x*:/]|by) ?(?=[0-9])")
_UNIT = re.compile(r"(?<=[0-9]) (?=[kp]\b)|(?<=[0-9]) ?(?:px|pixels)\b")
_SIGNS = {"*": "x", "by": "x", "/": ":"}
_QUOTES = " \t\r\n\"'`“”‘’"


def normal(parameter: Parameter, value: str, synonyms: Mapping[str, Sequence[str]]) -> str:
    """The one allowed value this is another writing of: another case, ``×`` for ``x``, or a synonym of it."""
    if len(value) > MAX_WORD_CHARACTERS:
        return value
    tolerated = parameter.tolerate.allowed if parameter.tolerate else ()
    plain = _plain(value)
    for known in (parameter.allowed, tolerated):
        alike = {one for one in known if isinstance(one, str) and one.lower() == plain}
        if value in alike:
            return value
        if len(alike) == 1:
            return alike.pop()
    if parameter.size:  # a grammar of pixels means what it says
        return plain if pixels(plain) else value
    allowed = {one.lower(): one for one in parameter.allowed if isinstance(one, str)}
    return next((allowed[word] for word in _rewritten(plain, synonyms) if word in allowed), value)


def _plain(value: str) -> str:
    """A word in lower case and in plain signs: without quotation marks, full-width forms and blanks within sizes."""
    word = unicodedata.normalize("NFKC", value).strip(_QUOTES).lower().replace("×", "x").replace("∶", ":")
    return _UNIT.sub("", _BETWEEN.sub(lambda sign: _SIGNS.get(sign[1], sign[1]), word))


def _rewritten(value: str, synonyms: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Other writings of a word that mean the same whatever the model: ``16x9``, ``1080``, ``Full HD``, ``portrait``."""
    word = " ".join(value.lower().split())
    yield word
    if ratio := _RATIO.fullmatch(word):
        yield f"{ratio[1]}:{ratio[2]}"
    if word.isascii() and word.isdigit():
        yield f"{word}p"
    yield from synonyms.get(word.replace("-", " ").replace("_", " "), ())
