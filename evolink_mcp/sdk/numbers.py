"""The ids of JSON-RPC requests as keys, and the mark that a line may begin with. Loads the standard library alone."""

from __future__ import annotations

import json
import re

MARK = "\ufeff"  # of byte order, which shells put before what they pipe: it would cost a request its answer
# An id is kept, compared and sent back several times; clients count, or make one of 36 characters.
MAX_CHARACTERS, MAX_DIGITS = 1_000, 300
_TOO_LARGE = 10**MAX_DIGITS
_WHOLE = re.compile(r"-?\d+")
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair


def number_of(request_id: object) -> str:
    """A request's id as a key: 900 and ``"900"`` are two, and neither is ``True`` a 1."""
    if isinstance(request_id, str):
        request_id = request_id[: MAX_CHARACTERS + 1]  # a longer one is refused, and not worth a look
    return json.dumps(request_id)


def twin_of(number: str) -> str:
    """The other form of a whole number. A cancel may name it: the SDK takes 900 and ``"900"`` for one there."""
    bare = number.strip('"')
    if not _WHOLE.fullmatch(bare):
        return number
    return bare if bare != number else f'"{bare}"'


def is_number(value: object) -> bool:
    """Whether a request can have this id: a string that can be sent back, or a whole number; neither is long."""
    if isinstance(value, str):
        return len(value) <= MAX_CHARACTERS and not _HALF.search(value)
    return isinstance(value, int) and not isinstance(value, bool) and -_TOO_LARGE < value < _TOO_LARGE
