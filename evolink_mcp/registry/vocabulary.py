"""The words the data may use, and the ways to insist on them."""

from difflib import get_close_matches
from typing import Any, cast

from evolink_mcp.registry.reading import DataError
from evolink_mcp.registry.spec import Raw

ENDPOINTS = ("image", "video", "audio")
TYPES = frozenset(
    "string integer number boolean url url-list string-list integer-list number-list object object-list".split()
)
STATUSES = frozenset({"active", "legacy", "placeholder", "name-only"})
FORMS = frozenset({"url", "data", "base64"})
LIMITS = frozenset({"value", "step", "length", "bytes", "count"})

MODEL_KEYS = frozenset(
    "kind endpoint provider description capabilities beta status aliases replacements parameters rules example notes "
    "sources source open spellings".split()
)
PARAMETER_KEYS = frozenset(
    "type required required_hold allowed range size step length bytes count any_case unit forms callback default "
    "source hold soft pattern tolerate caution note item properties keys values open".split()
)
ITEM_KEYS = frozenset(
    "max_mb formats edge edge_min max_edge aspect pixels max_pixels seconds min_seconds max_seconds total_seconds fps "
    "pages codecs".split()
)
SIZE_KEYS = frozenset({"multiple", "edge", "pixels", "ratio"})
TOLERATE_KEYS = frozenset({"source", "allowed", "range", "count", "length"})
RULE_KEYS = frozenset("rule for of count allowed range with when unless source hold message".split())
SPELLING_KEYS = frozenset({"to", "shape", "values"})
SHAPES = frozenset({"same", "list", "single", "spread"})


def closed(raw: Raw, keys: frozenset[str], key: str) -> Raw:
    """The table itself when it has no other keys. Raises: DataError."""
    if not raw.keys() <= keys:
        name = min(raw.keys() - keys)
        near = get_close_matches(name, keys, 1)
        raise DataError(f"{key}.{name}", f"unknown key{f'; did you mean {near[0]}?' if near else ''}")
    return raw


def word(value: Any, words: Any, key: str) -> Any:
    """The value itself when it is one of the words. Raises: DataError."""
    if not isinstance(value, str) or value not in words:
        raise DataError(key, f"{value!r} is not one of: {', '.join(sorted(words))}")
    return value


def text(raw: Raw, name: str, key: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"{key}.{name}", "must be a text")
    return value


def texts(value: Any, key: str) -> tuple[str, ...]:
    items = cast(list[object], value) if isinstance(value, list) else None
    if items is None or not all(isinstance(item, str) for item in items):
        raise DataError(key, "must be a list of texts")
    return tuple(cast(list[str], items))


def flag(raw: Raw, name: str, key: str) -> bool:
    value = raw.get(name, False)
    if not isinstance(value, bool):
        raise DataError(f"{key}.{name}", "must be true or false")
    return value
