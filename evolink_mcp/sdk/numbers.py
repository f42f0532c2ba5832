"""The ids of JSON-RPC requests as keys."""

from __future__ import annotations

import json
import re

_WHOLE = re.compile(r"-?\d+")
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair


def number_of(request_id: object) -> str:
    """A request's id as a key: 900 and ``"900"`` are two."""
    return json.dumps(request_id)


def twin_of(number: str) -> str:
    """The other form of a whole number. A cancel may name it: the SDK takes 900 and ``"900"`` for one there."""
    bare = number.strip('"')
    if not _WHOLE.fullmatch(bare):
        return number
    return bare if bare != number else f'"{bare}"'


def is_number(value: object) -> bool:
    """Whether a request can have this id: a string that can be sent back, or a whole number."""
    if isinstance(value, str):
        return not _HALF.search(value)
    return isinstance(value, int) and not isinstance(value, bool)
