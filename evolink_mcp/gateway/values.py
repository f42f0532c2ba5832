"""JSON and header values read as "this, if it is what it should be, else absent". What comes out is safe to show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import quote

from evolink_mcp.guard.complexity import MAX_DIGITS, excess
from evolink_mcp.guard.text import one_line

MAX_ANSWER = 8 * 1024 * 1024  # bytes of a JSON answer
MAX_VALUES = 100_000  # in one JSON answer: three hours of speech, word by word, have less
MAX_LINE = 300  # characters of a name or a word
MAX_LINK = 8192
MAX_DEPTH = 12  # of nested values that are searched
MAX_ITEMS = 2_000  # values that are searched, or taken from one list
MAX_ID = 200
MAX_TASK_ID = 128  # of ids that we send

_HALVES = re.compile("[\ud800-\udfff]")  # of surrogate pairs
_IN_LINKS = "!#$%&'()*+,-./:;=?@[]_~"  # beside letters and digits
_TASK_ID = re.compile(rf"(?!.*\.\.)(?!\.$)[!\"$&-.0->@-\[\]-~]{{1,{MAX_TASK_ID}}}")


class TooMuch(ValueError):
    """An answer that is too large to be read: what it has too much of."""


def parse_json(raw: bytes) -> Any:
    """The JSON of an answer. One byte that is no UTF-8, or a long number, must not lose the id of a paid task.

    Raises:
        TooMuch: It has more than ``MAX_ANSWER`` bytes, or ``MAX_VALUES`` values.
        ValueError: It is none.
        RecursionError: It lies too deep.
    """
    if len(raw) > MAX_ANSWER:
        raise TooMuch(f"more than {MAX_ANSWER // 1024**2} MiB")
    if too_much := excess(raw, values=MAX_VALUES):
        raise TooMuch(too_much)
    return _DECODER.decode(raw.decode(json.detect_encoding(raw), "replace"))


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


_DECODER = json.JSONDecoder(parse_int=_whole)


def as_object(value: object) -> Mapping[str, Any]:
    """``value`` where it is a JSON object, else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """``value`` where it is a JSON array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    """``value`` where it is a string or a number, as a string, else "". It may hold anything: for comparisons only."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def as_line(value: object, limit: int = MAX_LINE) -> str:
    """``value`` as one printable line of at most ``limit`` characters; "" where it is no text."""
    return one_line(as_text(value), limit)


def as_number(value: object) -> float | None:
    """``value`` where it is a finite number (numbers in strings too), else ``None``."""
    if isinstance(value, str):
        try:
            value = float(value[:40])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e15 else None


def as_whole(value: object) -> int | None:
    """``value`` as a whole number, else ``None``."""
    number = as_number(value)
    return None if number is None else round(number)


def as_link(value: object) -> str:
    """``value`` where it is an http or https link of bounded length, else "".

    What may not stand in a link is percent-encoded: white space, controls, quotes, what is not ASCII.
    """
    if not isinstance(value, str) or not value.startswith(("https://", "http://")) or len(value) > MAX_LINK:
        return ""
    return quote(_HALVES.sub("%3F", value), safe=_IN_LINKS)


def is_task_id(text: str) -> bool:
    """Whether a text may be sent as a task id: visible ASCII without slashes, ``?#%\\``, and no path of dots."""
    return _TASK_ID.fullmatch(text) is not None


def as_id(value: object) -> str:
    """``value`` where it is one printable line of bounded length, as every id is that we pass on; else ""."""
    text = as_text(value)
    return text if text == one_line(text, MAX_ID) else ""


def as_moment(value: object) -> float | None:
    """Seconds since 1970; milliseconds are told by their size, and what is no time of our age is absent."""
    number = as_number(value)
    if number is not None and number > 1e11:
        number /= 1000.0
    return number if number is not None and 0 < number < 1e11 else None


def as_date(value: str) -> float | None:
    """An HTTP date as seconds since 1970; ``None`` where it is none."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def nested_objects(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects in ``value``, itself included, in the order they stand; those that lie too deep are left out."""
    budget = MAX_ITEMS
    stack: list[tuple[object, int]] = [(value, 0)]
    while stack and budget:
        current, depth = stack.pop()
        budget -= 1
        item = as_object(current)
        if item:
            yield item
        if depth < MAX_DEPTH:
            inner = as_list(current)[:MAX_ITEMS] or list(item.values())[:MAX_ITEMS]
            stack += [(each, depth + 1) for each in reversed(inner) if isinstance(each, dict | list)]
