"""How much of a call is looked at. A request of megabytes must not hold up the other callers of a server.

Every bound is far beyond what any model takes, so that only hostile or broken calls meet one.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import cast

MAX_UNKNOWN = 50
"""Names of one call that are compared with those there are: each comparison takes a while."""
MAX_NAME_CHARACTERS = 80
"""Of a caller's own name: so much is compared and shown."""
MAX_VALUES = 2_000
"""In one parameter, at any depth."""
MAX_DEPTH = 20
MAX_FINDINGS = 100
"""Problems, and notes, of one call."""
MAX_LINK_CHARACTERS = 16_384
MAX_WORD_CHARACTERS = 200
"""A longer text is none of the words that a parameter lists, in whatever case."""
MAX_NUMBER = 2**63
"""A whole number beyond is no number to JSON's usual readers."""


def excess(value: object) -> str:
    """What is too much about the value of one parameter, in words; empty where nothing is."""
    remaining, level = MAX_VALUES, [value]
    for _ in range(MAX_DEPTH):
        deeper: list[object] = []
        for inner in _parts(level):
            deeper.extend(islice(inner, remaining + 1))  # one more than allowed is enough to know
            if len(deeper) > remaining:
                return f"holds more than {MAX_VALUES:,} values"
        if not deeper:
            return ""
        remaining, level = remaining - len(deeper), deeper
    return f"is nested more than {MAX_DEPTH} deep"


def _parts(values: list[object]) -> Iterator[Iterator[object]]:
    for value in values:
        if isinstance(value, Mapping):
            yield iter(cast(Mapping[object, object], value).values())
        elif isinstance(value, list):
            yield iter(cast(list[object], value))
