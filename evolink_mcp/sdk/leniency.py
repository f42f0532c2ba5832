"""What hosts and models write for a value, read as what they mean.

Some fill every optional argument with an empty value, some send lists, numbers and booleans as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

ABSENT_WORDS = ("null", "undefined", "None", "[]", "{}", '""')  # anthropics/claude-code#95239 and its like
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.0+)?")


def read_value(value: object, schema: Mapping[str, Any]) -> object:
    """The value as a parameter of this schema takes it: JSON in a text is parsed, a number in a text is read.

    A word of a short list is read in any case and in the plural.
    """
    if not isinstance(value, str):
        return value
    match schema.get("type"):
        case "array" | "object":
            try:
                return json.loads(value)
            except (ValueError, RecursionError):
                return value
        case "integer" if _WHOLE_NUMBER.fullmatch(value.strip()):
            return int(float(value))
        case "string" if options := schema.get("enum"):
            word = value.strip().lower()
            return next((each for each in (value, word, word.removesuffix("s")) if each in options), value)
        case _:
            return value


def is_absent(value: object, schema: Mapping[str, Any]) -> bool:
    """Whether an optional argument of this value counts as not given: null, empty, or 0 where the least is 1."""
    if isinstance(value, str):
        return not value.strip() or value.strip() in ABSENT_WORDS
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value == 0 and schema.get("minimum", 0) > 0
    return value in (None, [], {})
