"""What hosts and models write for a value, read as what they mean.

Some fill every optional argument with an empty value, some send lists, numbers and booleans as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

ABSENT_WORDS = ("null", "undefined", "None", "[]", "{}", '""')  # anthropics/claude-code#95239 and its like
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.0+)?")


def read_value(value: object, schema: Mapping[str, Any]) -> object:
    """The value as a parameter of this schema takes it: JSON in a text is parsed, a number in a text is read.

    A word of a short list is read in any case and in the plural. A list loses its empty items, and a text in the place
    of a list is its only item.
    """
    if schema.get("type") == "array":
        return _read_list(value)
    if not isinstance(value, str):
        return value
    match schema.get("type"):
        case "object":
            return _parsed(value)
        case "integer" if _WHOLE_NUMBER.fullmatch(value.strip()):
            return int(float(value))
        case "string" if options := schema.get("enum"):
            word = value.strip().lower()
            return next((each for each in (value, word, word.removesuffix("s")) if each in options), value)
        case _:
            return value


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _read_list(value: object) -> object:
    if isinstance(value, str) and value.strip() not in ABSENT_WORDS:
        value = _parsed(value)
        if isinstance(value, str) and value.strip() and not value.lstrip().startswith(("[", "{")):  # no broken JSON
            return [value]
    if not isinstance(value, list):
        return value
    return [item for item in cast("list[object]", value) if not _is_blank(item)]


def is_absent(value: object, schema: Mapping[str, Any]) -> bool:
    """Whether an optional argument of this value counts as not given: null, empty, or 0 where the least is 1."""
    if isinstance(value, str):
        return not value.strip() or value.strip() in ABSENT_WORDS
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value == 0 and schema.get("minimum", 0) > 0
    return value in (None, [], {})


def without_empty(value: object) -> object:
    """The value without what hosts put where they have nothing: null and empty texts, at any depth.

    Lists and objects that are empty then are left as they are, for whoever checks them.
    """
    if isinstance(value, Mapping):
        inner = cast("Mapping[str, object]", value)
        return {name: without_empty(part) for name, part in inner.items() if not _is_blank(part)}
    if isinstance(value, list):
        return [without_empty(item) for item in cast("list[object]", value) if not _is_blank(item)]
    return value


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
