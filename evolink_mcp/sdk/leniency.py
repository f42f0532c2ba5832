"""What hosts and models write for a value, read as what they mean.

Some fill every optional argument with an empty value, some send lists, numbers and booleans as text, some put all
arguments into one more object or spell their names as another language does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

ABSENT_WORDS = ("null", "undefined", "None", "[]", "{}", '""')  # anthropics/claude-code#95239 and its like
MAX_PARSED = 200_000  # characters of a text that is read as an envelope
MAX_NAME = 40  # characters of an argument's name: a longer one is no spelling of any
_NUMBER = re.compile(r"([+-]?\d{1,15}(?:\.\d{1,15})?)\s*(s|secs?|seconds?)?", re.IGNORECASE)
_LINK_KEYS = ("url", "uri", "href", "link", "image_url", "video_url", "audio_url", "file_url", "path", "file_path")
# A list of texts as Python writes it. In time that grows with its length only: what is no such list may be long.
_PYTHON_TEXT = r"""'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"|None"""
_PYTHON_LIST = rf"\[(?:(?:{_PYTHON_TEXT})\s*,\s*){{0,1000}}(?:(?:{_PYTHON_TEXT})\s*)?\]"
_FIGURES = frozenset({"size", "resolution", "quality"})  # 1024 and 720 are; what none takes is refused unpaid
_AROUND_IDS = " \t\r\n\"'`“”‘’"  # of an id that was quoted in a text
_LINK_WORDS = frozenset({"type", "detail"})  # of the message formats that wrap a link; they change nothing here
# What some clients and models put all arguments into.
_ENVELOPES = frozenset({"arguments", "args", "params", "parameters", "input", "toolinput", "kwargs", "body", "payload"})


def words_of(name: str) -> str:
    """A name without what its spellings differ in: ``aspectRatio``, ``aspect-ratio``, ``ASPECT_RATIO``."""
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def opened(
    arguments: Mapping[str, Any], properties: Collection[str], is_foreign: Callable[[str], bool]
) -> dict[str, Any]:
    """The arguments without an envelope around them, each under the name that it spells in another way.

    Args:
        is_foreign: Whether a name is an argument that a host adds by itself.
    """
    if all(name in properties for name in arguments):
        return dict(arguments)
    own = [name for name in arguments if not (name not in properties and is_foreign(name))]
    if len(own) == 1 and own[0] not in properties and words_of(own[0][:MAX_NAME]) in _ENVELOPES:
        inner = arguments[own[0]]
        if isinstance(inner, str) and len(inner) <= MAX_PARSED:
            inner = _parsed(inner)
        if isinstance(inner, dict):
            arguments = cast("dict[str, Any]", inner)
    names = {words_of(name): name for name in properties}
    values: dict[str, Any] = {}
    for name, value in arguments.items():
        known = name if name in properties or len(name) > MAX_NAME else names.get(words_of(name), name)
        values[name if known != name and (known in arguments or known in values) else known] = value
    return values


def read_value(value: object, schema: Mapping[str, Any], name: str = "") -> object:
    """The value as the parameter ``name`` of this schema takes it.

    JSON in a text is parsed, a number in a text is read, of seconds with their unit too.

    A word of a short list is read in any case and in the plural. A list loses its empty items, and a text in the place
    of a list is its only item; the only item of a list stands for it where no list is taken. A number is written out
    where it names something or is a figure; as a prompt it is a mix-up, and left for whoever checks it.
    """
    kind = schema.get("type")
    if kind == "array":
        return _read_list(value)
    if isinstance(value, list) and len(cast("list[object]", value)) == 1:
        value = cast("list[object]", value)[0]
    if kind == "string" and _may_be_number(name) and isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value) if isinstance(value, float) and value.is_integer() else value)
    if not isinstance(value, str):
        return cast("object", value)
    match kind:
        case "object":
            return _parsed(value)
        case "integer":
            return _read_number(value, seconds=name == "duration" or name.endswith("seconds"))
        case "boolean":
            return value.strip()
        case "string" if options := schema.get("enum"):
            word = value.strip().lower()
            return next((each for each in (value, word, word.removesuffix("s")) if each in options), value)
        case "string" if name.endswith("_id"):
            return value.strip(_AROUND_IDS)
        case _:
            return value


def _may_be_number(name: str) -> bool:
    return name in _FIGURES or name.endswith("_id")


def _read_number(text: str, *, seconds: bool) -> object:
    match = _NUMBER.fullmatch(text.strip())
    if match is None or (match[2] and not seconds):
        return text
    number = float(match[1])
    return int(number) if number.is_integer() else number


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _read_list(value: object) -> object:
    if isinstance(value, str) and value.strip() not in ABSENT_WORDS:
        text = value.strip()
        value = _parsed(value)
        if isinstance(value, str) and text.startswith(("['", '["')):
            value = _parsed_as_python(text)
        if isinstance(value, str) and value.strip() and not value.lstrip().startswith(("[", "{")):  # no broken JSON
            parts = value.split(",")
            return [part.strip() for part in parts] if _are_links(parts) else [value]
    if isinstance(value, dict) and isinstance(link := _link_in(cast("object", value)), str):
        value = [link]
    if not isinstance(value, list):
        return cast("object", value)
    return [_link_in(item) for item in cast("list[object]", value) if not _is_blank(item)]


def _are_links(parts: list[str]) -> bool:
    """Whether commas stand between links. Without a space after each, only where every link names a file: an address
    of a picture to be changed (``…/w_1,https://…``) holds such a comma itself."""
    links = [part.strip() for part in parts]
    if not all(link.startswith(("https://", "http://")) for link in links):
        return False
    apart = all(part[0].isspace() for part in parts[1:])
    return apart or all("." in link.partition("?")[0].split("/", 3)[-1].rpartition("/")[2] for link in links)


def _parsed_as_python(text: str) -> object:
    """The list of texts that Python writes so; the text itself where it is none."""
    if not re.fullmatch(_PYTHON_LIST, text, re.DOTALL):  # compiled at first use: hosts start often
        return text
    items = re.findall(_PYTHON_TEXT, text, re.DOTALL)
    return [re.sub(r"""\\([\\'"])""", r"\1", item[1:-1]) for item in items if item != "None"]


def _link_in(item: object) -> object:
    """The link in an object that holds nothing else, as messages to models wrap it; anything else as it is."""
    value = item
    for _ in range(2):
        if not isinstance(value, dict):
            break
        rest = {key: part for key, part in cast("dict[str, object]", value).items() if key not in _LINK_WORDS}
        if len(rest) != 1 or next(iter(rest)) not in _LINK_KEYS:
            return item
        value = next(iter(rest.values()))
    if isinstance(value, list) and len(cast("list[object]", value)) == 1:
        value = cast("list[object]", value)[0]
    return value if isinstance(value, str) else item


def has_only_blanks(value: object) -> bool:
    """Whether a list was given that holds nothing but empty texts and nulls, also as text."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _parsed(value)
    items = cast("list[object]", value) if isinstance(value, list) else []
    return bool(items) and all(map(_is_blank, items))


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
