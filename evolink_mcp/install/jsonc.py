"""JSON with comments, edited in place: what an edit does not touch stays as it is, byte for byte.

Values are set by path. Comments and trailing commas are understood even where the client does not read them. No library
for JSON with comments keeps them when it writes, so this one is ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR = re.compile(r'"(?:[^"\\\r\n]|\\.)*"|[^\s,:\[\]{}"/]+')


class NotJson(ValueError):
    """The text is not JSON, comments and trailing commas aside. Says where."""


@dataclass
class Node:
    """A value and its place: ``text[start:end]``. In an object, ``keys`` are the names of ``children``."""

    start: int
    end: int
    value: Any = None
    children: list[Node] = field(default_factory=list["Node"])
    keys: list[str] = field(default_factory=list[str])
    is_object: bool = False
    has_comma: bool = False  # after the last child


def parse(text: str) -> Node | None:
    """The value of a text; ``None`` where it holds none.

    Raises:
        NotJson: It holds something else, or more than one value.
    """
    start = _skip(text, 0)
    if start == len(text):
        return None
    try:
        node = _value(text, start)
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    if _skip(text, node.end) != len(text):
        raise _wrong(text, _skip(text, node.end))
    return node


def has_comments(text: str) -> bool:
    """Whether the text is more than JSON: it has comments, or a comma before a closing bracket."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def assign(text: str, path: Sequence[str], value: Any) -> str:
    """The text with ``value`` at ``path``; missing objects on the way are made.

    Raises:
        NotJson: Something on the way is not an object, or a name occurs twice.
    """
    node = parse(text)
    if node is None:
        return _after_comments(text, _nested(path, value))
    for depth, name in enumerate(path):
        if not node.is_object:
            raise NotJson(f"{'.'.join(path[:depth]) or 'the whole'} is not an object")
        if node.keys.count(name) > 1:
            raise NotJson(f"{name} occurs twice")
        if name not in node.keys:
            return _insert(text, node, _nested(path[depth + 1 :], value), name)
        node = node.children[node.keys.index(name)]
    if node.value == value and type(node.value) is type(value):
        return text
    new = _dump(value, text, _indent_at(text, node.start))
    return text[: node.start] + new + text[node.end :]


def append(text: str, name: str, value: Any) -> str:
    """The text with one more item in the list ``name``, which is made where it is missing.

    Raises:
        NotJson: The value of this name is not a list.
    """
    node = parse(text)
    if node is None or name not in node.keys:
        return assign(text, [name], [value])
    items = node.children[node.keys.index(name)]
    if items.is_object or not isinstance(items.value, list):
        raise NotJson(f"{name} is not a list")
    return _insert(text, items, value)


def _nested(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _insert(text: str, node: Node, value: Any, name: str | None = None) -> str:
    """The text with one more member or item at the end of an object or list."""
    newline = newline_of(text)
    before_close = node.end - 1
    inner_end = _last_meaning(text, node, before_close)
    outer = _indent_at(text, node.start)
    indent = outer + _unit(text)
    several_lines = True
    if node.children:
        first, last = node.children[0], node.children[-1]
        opens = _has_break(text[node.start : first.start])
        several_lines = opens or _has_break(text[last.end : node.end])  # a comment may end the line
        indent = _indent_at(text, first.start) if opens else indent
    key = f"{json.dumps(name, ensure_ascii=False)}: " if name is not None else ""
    comma_at = node.children[-1].end if node.children and not node.has_comma else inner_end
    comma = "," if node.children and not node.has_comma else ""
    if several_lines:
        tail = text[inner_end:before_close]
        new = newline + indent + key + _dump(value, text, indent)
        closing = "" if _has_break(tail) else newline + outer
    else:
        new = " " + key + json.dumps(value, ensure_ascii=False)
        closing = ""
    return text[:comma_at] + comma + text[comma_at:inner_end] + new + closing + text[inner_end:]


def _last_meaning(text: str, node: Node, before_close: int) -> int:
    """Where the last value, comma or comment inside ends."""
    end = node.start + 1 + len(text[node.start + 1 : before_close].rstrip())
    return max(end, node.start + 1)


def _after_comments(text: str, value: Any) -> str:
    newline = newline_of(text)
    comments = text.rstrip()
    return comments + (newline if comments else "") + _dump(value, text, "") + newline


def _dump(value: Any, text: str, indent: str) -> str:
    dumped = json.dumps(value, indent=_unit(text), ensure_ascii=False)
    return dumped.replace("\n", newline_of(text) + indent)


def newline_of(text: str) -> str:
    """The line end that the text uses most."""
    both = text.count("\r\n")
    counts = {"\n": text.count("\n") - both, "\r\n": both, "\r": text.count("\r") - both}
    return max(counts, key=lambda end: counts[end])


def _has_break(text: str) -> bool:
    return "\n" in text or "\r" in text


def _unit(text: str) -> str:
    """One step of indentation, as the text has it."""
    match = re.search(r"(?:^|[\r\n])([ \t]+)\S", text)
    return "\t" if match and match[1].startswith("\t") else match[1] if match and len(match[1]) <= 8 else "  "


def _indent_at(text: str, position: int) -> str:
    """The indentation of the line that ``position`` is on."""
    line = text[max(text.rfind(end, 0, position) for end in "\r\n") + 1 : position]
    return line[: len(line) - len(line.lstrip())]


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match is not None
    if text.startswith("/*", match.end()):
        raise _wrong(text, match.end())
    return match.end()


def _value(text: str, start: int) -> Node:
    if text[start : start + 1] in ("{", "["):
        return _many(text, start)
    match = _SCALAR.match(text, start)
    if not match:
        raise _wrong(text, start)
    try:
        return Node(start, match.end(), json.loads(match[0]))
    except ValueError:
        raise _wrong(text, start) from None


def _many(text: str, start: int) -> Node:
    """An object or a list."""
    node = Node(start, start, is_object=text[start] == "{")
    close = "}" if node.is_object else "]"
    at = _skip(text, start + 1)
    while text[at : at + 1] != close:
        if node.children and not node.has_comma:
            raise _wrong(text, at)
        if node.is_object:
            key = _value(text, at) if text[at : at + 1] == '"' else None
            if key is None:
                raise _wrong(text, at)
            node.keys.append(cast("str", key.value))
            at = _skip(text, key.end)
            if text[at : at + 1] != ":":
                raise _wrong(text, at)
            at = _skip(text, at + 1)
        child = _value(text, at)
        node.children.append(child)
        at = _skip(text, child.end)
        node.has_comma = text[at : at + 1] == ","
        if node.has_comma:
            at = _skip(text, at + 1)
    node.end = at + 1
    values = [child.value for child in node.children]
    node.value = dict(zip(node.keys, values, strict=True)) if node.is_object else values
    return node


def _wrong(text: str, position: int) -> NotJson:
    line = len(re.findall(r"\r\n?|\n", text[:position])) + 1
    return NotJson(f"line {line} cannot be read")
