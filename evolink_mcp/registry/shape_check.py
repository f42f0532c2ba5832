"""Tables held against their shape (``shape.py``): what is wrong, by key, and the schema for editors."""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from evolink_mcp.registry import shape
from evolink_mcp.registry.reading import DataError

_WORDS = {
    "list_type": "must be a list",
    "string_type": "must be a text",
    "string_too_short": "must be a text",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "union_tag_invalid": "cannot be written in this form",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "too_long": "has too many items",
    "too_short": "has too few items",
}
_adapter = cache(TypeAdapter[Any])


def faults(table: Any, raw: object, key: str = "") -> Iterator[DataError]:
    """Everything that is wrong with the shape of a table, each with its dotted key."""
    try:
        _adapter(table).validate_python(raw)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            path = [key, *(str(part) for part in each["loc"] if not str(part).startswith(("~", "[")))]
            yield DataError(".".join(filter(None, path)), _in_words(cast(dict[str, Any], each)))


def _in_words(error: dict[str, Any]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden" or error["loc"][-1:] == ("[key]",):
        near = get_close_matches(str(error["loc"][-1]), _keys(), 1)
        return f"unknown key{f'; did you mean {near[0]}?' if near else ''}"
    if kind == "literal_error":
        return f"{error['input']!r} is not one of: {error['ctx']['expected']}"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    return _WORDS.get(kind, str(error["msg"]))


@cache
def _keys() -> list[str]:
    return sorted({key for table in shape.TABLES for key in table.__annotations__})


def schema() -> str:
    """The JSON Schema of a data file, as text."""
    return json.dumps(_adapter(shape.File).json_schema(), indent=1, ensure_ascii=False) + "\n"
