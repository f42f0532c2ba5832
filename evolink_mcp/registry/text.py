"""How values are written in messages, and when two of them are the same."""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import cast

from evolink_mcp.registry.bounds import MAX_NUMBER

SHORT = 60
_SOURCE = r"(?:S[0-4]|docs)(?:-[a-z]+)?"
_IN_BRACKETS = re.compile(rf" \({_SOURCE}(?:, {_SOURCE})*\)")
_IN_SENTENCE = re.compile(rf"\b(by|though) {_SOURCE}(?:, {_SOURCE})*(?=,| allows)")


def same(one: object, other: object) -> bool:
    """Equal and of one type: ``true`` is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def quote(value: object, width: int = SHORT) -> str:
    """A value as JSON, cut to ``width`` characters; ``not given`` for None."""
    if value is None:
        return "not given"
    text = " ".join(json.dumps(_beginning(value, width), ensure_ascii=False, default=str).split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _beginning(value: object, width: int) -> object:
    """As much of a value as shows within ``width`` characters: megabytes need no encoding for their first line."""
    if isinstance(value, str):
        return value[: width + 1]
    if isinstance(value, list):
        return [_beginning(each, width) for each in islice(cast(list[object], value), width // 2)]
    if isinstance(value, Mapping):
        items = islice(cast(Mapping[object, object], value).items(), width // 2)
        return {str(key)[: width + 1]: _beginning(each, width) for key, each in items}
    if isinstance(value, int) and abs(value) >= MAX_NUMBER:
        return f"a whole number of {value.bit_length()} bits"
    return value


def listed(items: Iterable[object], last: str = "and") -> str:
    """``a, b and c``."""
    words = [str(item) for item in items]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def number(value: float) -> str:
    """A limit without a needless fraction, large ones with separators."""
    return f"{value:,.6g}" if value % 1 else f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))


def words(value: object) -> str:
    """A plain value as a reader would type it: texts without quotes, booleans as JSON has them."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def without_sources(text: str) -> str:
    """A message as agents read it: where a limit stands tells them nothing, and people find it in the documents."""
    return _IN_SENTENCE.sub(r"\1 another page", _IN_BRACKETS.sub("", text)).replace("?.", "?")
