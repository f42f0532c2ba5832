"""The shape of the data files: a table with a key or a word that is not here is an error that names it.

Only what a table shows by itself is judged here; ``build.py`` follows the names it leans on. The built-in files are
held to this by the tests, a user's own file when it is loaded (``shape_check.py``).
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, with_config
from typing_extensions import TypedDict

from evolink_mcp.registry.rules import NEEDS
from evolink_mcp.registry.spec import Endpoint, Form, Hold, Kind, LinkForm, RuleKind, SpellingShape, Status, ValueType


def _ordered(ends: list[float]) -> list[float]:
    if ends[0] > ends[-1]:
        raise ValueError("must be [low] or [low, high]")
    return ends


def _pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a pattern: {error}") from error
    return pattern


def _form(value: object) -> str:
    """The tag of a value that may be written in several ways. Tags begin with ``~`` to differ from keys."""
    return "~table" if isinstance(value, dict) else "~list" if isinstance(value, list) else "~plain"


def _entry_form(value: object) -> str:
    return "~false" if value is False else _form(value)


_CLOSED = with_config(ConfigDict(extra="forbid", strict=True))
Scalar = str | bool | int | float
Text = Annotated[str, Field(min_length=1)]
Ends = Annotated[list[float], Field(min_length=1, max_length=2), AfterValidator(_ordered)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Values = Annotated[Annotated[str, Tag("~plain")] | Annotated[list[Scalar], Tag("~list")], Discriminator(_form)]
"""A list of values, or the name of one."""

Test = TypedDict(
    "Test",
    {"in": list[Scalar], "given": bool, "count": Ends, "range": Ends, "form": Form, "or_absent": bool},
    total=False,
)
"""One question about one parameter of a call."""
_CLOSED(Test)
Condition = dict[
    str,
    Annotated[
        Annotated[Test, Tag("~table")] | Annotated[Scalar, Tag("~plain")] | Annotated[list[Scalar], Tag("~list")],
        Discriminator(_form),
    ],
]


@_CLOSED
class Required(TypedDict, total=False):
    when: Condition
    unless: Condition


@_CLOSED
class Size(TypedDict, total=False):
    """A grammar of pixels."""

    multiple: int
    edge: Ends
    pixels: Ends
    ratio: float


@_CLOSED
class Tolerance(TypedDict, total=False):
    source: str
    allowed: Values
    range: Ends
    count: Ends
    length: Ends


@_CLOSED
class Item(TypedDict, total=False):
    """Advice about the files that links lead to."""

    max_mb: float
    formats: Values
    edge: Ends
    edge_min: int
    max_edge: int
    aspect: Ends
    pixels: Ends
    max_pixels: int
    seconds: Ends
    min_seconds: float
    max_seconds: float
    total_seconds: float
    fps: Ends
    pages: Ends
    codecs: list[Text]


@_CLOSED
class Parameter(TypedDict, total=False):
    """One parameter. Without ``type`` or ``like`` it changes the one taken over."""

    type: Annotated[
        Annotated[ValueType, Tag("~plain")] | Annotated[list[ValueType], Tag("~list")], Discriminator(_form)
    ]
    like: str
    required: Annotated[Annotated[bool, Tag("~plain")] | Annotated[Required, Tag("~table")], Discriminator(_form)]
    required_hold: Hold
    allowed: Values
    range: Ends
    size: Size
    step: float
    length: Ends
    bytes: Ends
    count: Ends
    any_case: bool
    unit: Text
    forms: list[LinkForm]
    callback: bool
    default: Any
    source: str
    hold: Hold
    soft: dict[Literal["value", "step", "length", "bytes", "count"], str]
    pattern: Pattern
    tolerate: Annotated[
        Annotated[str, Tag("~plain")] | Annotated[list[Scalar], Tag("~list")] | Annotated[Tolerance, Tag("~table")],
        Discriminator(_form),
    ]
    caution: Text
    note: Text
    item: Item
    outcome: str
    mask: dict[Literal["repaints", "same_size", "hold"], str | bool]
    wants_draft: bool
    costs: Text
    properties: "dict[str, Entry]"
    keys: Pattern
    values: "Entry"
    open: bool


Entry = Annotated[
    Annotated[str, Tag("~plain")] | Annotated[Literal[False], Tag("~false")] | Annotated[Parameter, Tag("~table")],
    Discriminator(_entry_form),
]
"""A parameter in full, the name of a shared one, or ``false`` to drop the one taken over."""

_Rule = TypedDict(
    "_Rule",
    {
        "rule": RuleKind,
        "message": Text,
        "for": str,
        "of": list[Text],
        "count": Ends,
        "allowed": Values,
        "range": Ends,
        "with": Condition,
        "when": Condition,
        "unless": Condition,
        "source": str,
        "hold": Hold,
    },
    total=False,
)
_CLOSED(_Rule)


def _whole(rule: dict[str, Any]) -> dict[str, Any]:
    kind = rule.get("rule")
    for key in ("rule", *(NEEDS[kind] if kind else ()), "message"):
        if key not in rule:
            raise ValueError(f"a rule {kind!r} needs {key!r}" if kind else "a rule needs 'rule'")
    if kind == "difference-of" and len(rule["of"]) != 2:
        raise ValueError("of must name two parameters: first minus second")
    return rule


Rule = Annotated[_Rule, AfterValidator(_whole)]


@_CLOSED
class Spelling(TypedDict, total=False):
    to: Annotated[Annotated[Text, Tag("~plain")] | Annotated[list[Text], Tag("~list")], Discriminator(_form)]
    shape: SpellingShape
    values: dict[str, Scalar]


@_CLOSED
class Making(TypedDict, total=False):
    when: Condition
    number: int
    shape: Text
    tier: Text


@_CLOSED
class Flags(TypedDict, total=False):
    read: Values
    idle: Values
    fatal: Values


@_CLOSED
class Model(TypedDict, total=False):
    like: str
    replace: bool
    kind: Kind
    endpoint: Endpoint
    provider: Text
    description: Text
    capabilities: list[Text]
    beta: bool
    status: Status
    since: Text
    superseded_by: Text
    sound: Literal["always", "never"]
    head: bool
    aliases: list[Text]
    replacements: list[Text]
    markers: list[Text]
    makes: list[Making]
    flags: Flags
    follow_ups: list[Text]
    parameters: dict[str, Entry]
    rules: list[Annotated[Annotated[str, Tag("~plain")] | Annotated[Rule, Tag("~table")], Discriminator(_form)]]
    example: dict[str, Any]
    notes: list[Text]
    sources: list[Text]
    source: str
    open: bool
    spellings: dict[str, Spelling]


@_CLOSED
class File(TypedDict, total=False):
    """A data file, or a user's own models file."""

    defaults: dict[str, Any]
    sources: dict[str, Annotated[list[str], Field(min_length=2, max_length=2)]]
    capabilities: dict[str, list[str]]
    lists: dict[str, list[Scalar]]
    order: dict[str, list[str]]
    default_models: dict[str, str]
    common: dict[str, Entry]
    closed: dict[str, str]
    hints: dict[str, list[str]]
    synonyms: dict[str, list[str]]
    spellings: dict[str, Spelling]
    shared: dict[str, Entry]
    rules: dict[str, Rule]
    outcomes: dict[str, dict[str, Any]]
    model: dict[str, Model]


TABLES = (File, Model, Parameter, _Rule, Item, Size, Tolerance, Required, Test, Spelling, Making, Flags)
"""Every table with keys of its own."""
