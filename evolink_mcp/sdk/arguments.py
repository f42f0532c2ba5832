"""Arguments checked strictly, with every problem in one readable line.

The SDK drops unknown arguments and shows raw validation errors, the input echoed. Unnecessary once ``MCPServer``
takes ``extra="forbid"`` and a hook for validation errors (mcp 2.3 has neither).
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import ConfigDict, ValidationError

from evolink_mcp.sdk.host_arguments import is_host_argument
from evolink_mcp.sdk.leniency import has_only_blanks, is_absent, opened, read_value

MAX_PROBLEMS = 8
# What one call may hold, so that checking it holds up nobody else.
MAX_CHARACTERS = 200_000  # of a text, but for those marked ``LongText``
MAX_ITEMS = 3_000  # values in lists and objects, together
MAX_DEPTH = 40

Suggest = Callable[[str, Sequence[str]], str | None]


class Arguments(ArgModelBase):
    """The base of every tool's arguments: nothing beyond what is declared."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class LongText:
    """Marks a parameter whose text may be of any length, in ``Annotated[str, LongText, …]``."""


class AtMost:
    """Marks a number that is rounded up, and taken as the maximum where it is above it."""


class InvalidArguments(ValueError):
    """The message names every problem, in one line."""


def check_arguments(
    arguments: Mapping[str, Any], model: type[ArgModelBase], schema: Mapping[str, Any], suggest: Suggest
) -> tuple[dict[str, Any], list[str]]:
    """The arguments as the tool's function takes them, and notes on what was changed.

    What a host adds by itself is taken off; an optional argument without content counts as absent. ``suggest`` names
    the parameter that somebody means who writes an unknown one, if a table knows it.

    Raises:
        InvalidArguments: Some do not fit.
    """
    properties = cast("dict[str, dict[str, Any]]", schema["properties"])
    required = cast("list[str]", schema.get("required", []))
    arguments = opened(arguments, properties, is_host_argument)
    unknown = [name for name in arguments if name not in properties and not is_host_argument(name)]
    if unknown:
        problems = [_unknown(name, list(properties), suggest) for name in unknown[:MAX_PROBLEMS]]
        raise InvalidArguments("; ".join(first_of(problems, len(unknown))))
    values: dict[str, Any] = {}
    notes: list[str] = []
    for name, prop in properties.items():
        marks = model.model_fields[name].metadata
        limit = None if LongText in marks else MAX_CHARACTERS
        _check_length(name, arguments.get(name), limit)
        value = read_value(arguments.get(name), prop, name)
        if value is None or (name not in required and is_absent(value, prop)):
            if has_only_blanks(arguments.get(name)):
                notes.append(f"{name} held nothing but empty texts, and counts as not given.")
            continue
        if isinstance(value, bool) and prop.get("type") == "integer":
            raise InvalidArguments(f"{name}: a whole number is expected (given {value})")
        _check_size(name, value, limit)
        if AtMost in marks and isinstance(value, float) and math.isfinite(value):
            value = math.ceil(value)
        if AtMost in marks and isinstance(value, int | float) and value > prop["maximum"]:
            notes.append(f"{name} is at most {prop['maximum']}; {value} was taken as that.")
            value = prop["maximum"]
        values[name] = value
    try:
        checked = model.model_validate(values)
    except ValidationError as error:
        problems = [_problem(cast("dict[str, Any]", item)) for item in error.errors(include_url=False)]
        raise InvalidArguments("; ".join(first_of(problems))) from None
    return {name: getattr(checked, name) for name in checked.model_fields_set}, notes


def first_of(problems: Sequence[str], total: int | None = None) -> list[str]:
    """The first few of many problems, and how many more there are: a reader needs no thousand lines."""
    more = (len(problems) if total is None else total) - MAX_PROBLEMS
    return [*problems[:MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]


def _check_length(name: str, value: object, limit: int | None) -> None:
    """Raises ``InvalidArguments`` for a text that nobody can mean."""
    if limit and isinstance(value, str) and len(value) > limit:
        raise InvalidArguments(f"{name}: at most {limit:,} characters are read (given {len(value):,})")


def _check_size(name: str, value: object, limit: int | None) -> None:
    """Raises ``InvalidArguments`` for more values, deeper ones or longer texts than a call can need."""
    count, level = 0, [value]
    for _ in range(MAX_DEPTH):
        nested: list[object] = []
        for part in level:
            if isinstance(part, dict):
                nested += cast("dict[str, object]", part).values()
            elif isinstance(part, list):
                nested += cast("list[object]", part)
            else:
                _check_length(name, part, limit)
        count += len(nested)
        if count > MAX_ITEMS:
            raise InvalidArguments(f"{name}: at most {MAX_ITEMS:,} values are read (given {count:,} or more)")
        if not nested:
            return
        level = nested
    raise InvalidArguments(f"{name}: lists and objects are read {MAX_DEPTH} levels deep")


def _unknown(name: str, parameters: Sequence[str], suggest: Suggest) -> str:
    from difflib import get_close_matches

    word = name[:40].lower()
    close = suggest(word, parameters) or next(iter(get_close_matches(word, parameters, cutoff=0.5)), None)
    hint = f" (did you mean {close}?)" if close else ""
    return f"unknown argument {name[:40]!r}{hint}"


def _problem(item: dict[str, Any]) -> str:
    """One validation problem, in a few words and without the library's links."""
    where = ".".join(str(part) for part in item["loc"]) or "arguments"
    if item["type"] == "missing":
        return f"{where} is required"
    value = item["input"]
    shown = repr(value[:40]) if isinstance(value, str) else reprlib.repr(value)
    return (
        f"{where}: {item['msg'][:1].lower()}{item['msg'][1:]} (given {shown if len(shown) <= 40 else f'{shown[:39]}…'})"
    )
