"""The shapes the registry speaks in: a model, its parameters, its rules, and the answer to a check.

Everything here is frozen and built once from the data files; ``build.py`` is the only maker.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Hold = Literal["refuse", "warn"]
Kind = Literal["image", "video", "audio", "asset"]
Endpoint = Literal["image", "video", "audio"]
ENDPOINTS: tuple[Endpoint, ...] = ("image", "video", "audio")
Status = Literal["active", "legacy", "placeholder", "name-only"]
ValueType = Literal[
    "string",
    "integer",
    "number",
    "boolean",
    "url",
    "task",
    "url-list",
    "string-list",
    "integer-list",
    "object",
    "object-list",
]
LinkForm = Literal["url", "data", "base64"]
Form = Literal["ratio", "pixels", "word"]
RuleKind = Literal[
    "requires",
    "excludes",
    "only-with",
    "allowed-when",
    "at-least-one-of",
    "count-of",
    "sum-of",
    "difference-of",
    "no-effect-when",
    "advise",
]
SpellingShape = Literal["same", "list", "single", "spread", "first", "fitting"]

Raw = dict[str, Any]
"""A table as it stands in a data file."""

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return EMPTY


@dataclass(frozen=True, slots=True)
class Span:
    """An inclusive range; a missing end is open."""

    low: float | None = None
    high: float | None = None

    def holds(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class Size:
    """What a ``WxH`` value must satisfy. Edges and pixels in px; ``ratio`` is the longer edge over the shorter."""

    multiple: int = 1
    edge: Span | None = None
    pixels: Span | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Test:
    """One question about one parameter of a call. An absent parameter answers ``or_absent``."""

    values: tuple[object, ...] | None = None
    present: bool | None = None
    count: Span | None = None
    range: Span | None = None
    form: Form | None = None
    or_absent: bool = False


Condition = tuple[tuple[str, Test], ...]
"""Every test must hold; the names are dotted paths into the call."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of a local file that stands in a link's place. ``size`` is in bytes; ``None`` is unknown."""

    mime_type: str
    size: int
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    frame_rate: float | None = None
    has_alpha: bool | None = None
    has_audio: bool | None = None
    opaque: float | None = None
    """How much of a mask is not transparent at all, from 0 to 1; ``white`` and ``black`` are parts of that."""
    white: float | None = None
    black: float | None = None

    @property
    def kind(self) -> str:
        """``image``, ``video`` or ``audio``."""
        return self.mime_type.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Required:
    hold: Hold = "refuse"
    when: Condition = ()
    unless: Condition = ()


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What the parameter's own limits leave out and another source allows: sent, with a note."""

    source: str
    allowed: tuple[object, ...] = ()
    range: Span | None = None
    count: Span | None = None
    length: Span | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. ``allowed``, ``range`` and ``size`` are alternatives: a value that fits one of them is right."""

    name: str
    types: tuple[str, ...]
    source: str
    hold: Hold
    required: Required | None = None
    allowed: tuple[object, ...] = ()
    range: Span | None = None
    size: Size | None = None
    step: float | None = None
    length: Span | None = None
    bytes: Span | None = None
    count: Span | None = None
    any_case: bool = False
    unit: str = ""
    forms: tuple[str, ...] = ("url",)
    callback: bool = False
    default: object = None
    soft: Mapping[str, str] = field(default_factory=_empty)
    """Limits merely warned of although ``hold`` refuses, each with its own source."""
    tolerate: Tolerance | None = None
    caution: str = ""
    """A note added whenever the parameter is sent."""
    note: str = ""
    item: Mapping[str, object] = field(default_factory=_empty)
    """What a linked file should be like: judged of local files (``files.py``), only shown of others."""
    properties: Mapping[str, "Parameter"] = field(default_factory=_empty)
    pattern: str = ""
    outcome: str | None = None
    """What it decides of the result, where that is not what its name says (``outcome.py``); empty for nothing."""
    mask: Mapping[str, object] = field(default_factory=_empty)
    """Of a mask (``masks.py``): the part that it has painted anew, how hard that is held where not as all of it is,
    and whether it has to be of the reference's size."""
    wants_draft: bool = False
    """Of the id of a task: whether that task has to be a draft."""
    costs: str = ""
    """What its default does to the price, in words."""
    keys: str = ""
    values: "Parameter | None" = None
    open: bool = False

    def held(self, limit: str) -> tuple[Hold, str]:
        """How hard a limit is held, and where it is written."""
        return ("warn", self.soft[limit]) if limit in self.soft else (self.hold, self.source)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule across parameters. It applies when ``when`` holds and ``unless`` does not, and mostly (see ``rules.py``)
    only when ``parameter`` is given."""

    kind: RuleKind
    message: str
    source: str
    hold: Hold
    parameter: str = ""
    others: tuple[str, ...] = ()
    count: Span | None = None
    allowed: tuple[object, ...] = ()
    range: Span | None = None
    only: Condition = ()
    when: Condition = ()
    unless: Condition = ()


@dataclass(frozen=True, slots=True)
class Spelling:
    """A friendly spelling and the wire parameter(s) it stands for.

    Of the shape ``first`` it stands for the first of them that a model has, of ``fitting`` for the first whose listed
    values hold the one given.
    """

    to: tuple[str, ...]
    shape: SpellingShape = "same"
    values: Mapping[str, object] = field(default_factory=_empty)


@dataclass(frozen=True, slots=True)
class Making:
    """What a model makes by itself where ``when`` holds: values by role, such as ``number`` and ``shape``."""

    values: Mapping[str, object]
    when: Condition = ()


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags inside a prompt, as ``--ar``: those that a model reads, those without effect, those it fails on."""

    read: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    fatal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    kind: Kind
    endpoint: Endpoint
    provider: str
    description: str
    capabilities: tuple[str, ...]
    beta: bool
    status: Status
    aliases: tuple[str, ...]
    replacements: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    rules: tuple[Rule, ...]
    example: Mapping[str, object]
    notes: tuple[str, ...]
    sources: tuple[str, ...]
    since: str = ""
    """When it appeared, as ``2026-05`` or a season; empty where no page says."""
    superseded_by: str = ""
    """The model that took its place while this one still works."""
    sound: Literal["always", "never", ""] = ""
    """Whether a film has a sound track where no parameter switches it; empty where no page says."""
    head: bool = False
    """The present one of its family, listed without being asked for."""
    markers: tuple[str, ...] = ()
    """How a prompt refers to the inputs, as ``@image1``."""
    makes: tuple[Making, ...] = ()
    """What comes out where no parameter decides it; the first that applies."""
    flags: Flags | None = None
    """The flags it knows inside a prompt; ``None`` where its page names none."""
    follow_ups: tuple[str, ...] = ()
    """Models that take a task of this one and go on from it."""
    open: bool = False
    """Its page is not fully known: a parameter that is not listed is sent, with a note."""
    spellings: Mapping[str, Spelling] = field(default_factory=_empty)


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason to refuse. ``message`` is one readable line; ``value`` is what the call has, shortened."""

    parameter: str
    message: str
    value: str = ""
    allowed: str = ""
    source: str = ""
    takers: tuple[str, ...] = ()
    """Of a parameter that the model does not have: the likest models that have it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The answer to a check: refuse when ``problems`` is not empty, else send ``params`` beside the model."""

    model: Model | None
    params: dict[str, object] = field(default_factory=dict[str, object])
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    doubts: frozenset[str] = frozenset()
    """The parameters that are sent although the model's page does not list them or speaks against them."""
