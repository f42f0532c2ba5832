"""How values are written in messages, and when two of them are the same."""

import json
from collections.abc import Iterable

SHORT = 60


def same(one: object, other: object) -> bool:
    """Equal and of one type: `true` is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def quote(value: object, width: int = SHORT) -> str:
    """A value as JSON, cut to `width` characters; `not given` for None."""
    if value is None:
        return "not given"
    # Cut before encoding: a text of megabytes is not worth escaping for its first line.
    if isinstance(value, str):
        value = value[: width + 1]
    text = " ".join(json.dumps(value, ensure_ascii=False, default=str).split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def listed(items: Iterable[object], last: str = "and") -> str:
    """`a, b and c`."""
    words = [str(item) for item in items]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def number(value: float) -> str:
    """A limit without a needless fraction, large ones with separators."""
    return f"{value:,.6g}" if value % 1 else f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))


def words(value: object) -> str:
    """A plain value as a reader would type it: texts without quotes, booleans as JSON has them."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
