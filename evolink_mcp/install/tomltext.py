"""One table of a TOML file, edited in place. The caller compares what both texts mean; here are only lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from evolink_mcp.install.entries import toml_table, toml_value
from evolink_mcp.install.jsonc import newline_of

_HEADER = re.compile(r"^[ \t]*\[")


def set_table(text: str, path: tuple[str, ...], table: Mapping[str, Any]) -> str:
    """The text with ``table`` at ``path``: new at the end, or its keys set one by one where it is there.

    What cannot be edited line by line (inline tables, values with comments) is
    left alone, which the caller notices by the meaning of the result.
    """
    end = "\r" if newline_of(text) == "\r\n" else ""
    lines = text.split("\n")
    if not lines[-1].strip():
        lines.pop()
    elif end:
        lines[-1] = lines[-1].rstrip("\r") + end
    return "\n".join([*_set(lines, path, table, end), ""])


def _set(lines: list[str], path: tuple[str, ...], table: Mapping[str, Any], end: str) -> list[str]:
    if _header(lines, path) is None:
        new = [line + end for line in toml_table(path, table).splitlines()]
        return [*lines, end, *new] if lines else new
    for name, value in table.items():
        if isinstance(value, dict):
            lines = _set(lines, (*path, name), value, end)  # pyright: ignore[reportUnknownArgumentType]
        else:
            lines = _set_key(lines, path, name, value, end)
    return lines


def _set_key(lines: list[str], path: tuple[str, ...], name: str, value: Any, end: str) -> list[str]:
    start = _header(lines, path)
    assert start is not None
    stop = next((at for at in range(start + 1, len(lines)) if _HEADER.match(lines[at])), len(lines))
    key = re.compile(rf'[ \t]*(?:{re.escape(name)}|"{re.escape(name)}")[ \t]*=')
    new = f"{name} = {toml_value(value)}{end}"
    for at in range(start + 1, stop):
        if key.match(lines[at]):
            past = _value_end(lines, at, stop)
            old = _joined(lines[at:past])
            if "#" in old or tomllib.loads(old) == {name: value}:
                return lines
            return [*lines[:at], new, *lines[past:]]
    return [*lines[: start + 1], new, *lines[start + 1 :]]


def _value_end(lines: list[str], start: int, stop: int) -> int:
    """Where a key's value ends: the first line by which it can be read."""
    for past in range(start + 1, stop + 1):
        try:
            tomllib.loads(_joined(lines[start:past]))
        except tomllib.TOMLDecodeError:
            continue
        return past
    return start + 1


def _joined(lines: list[str]) -> str:
    return "\n".join(line.rstrip("\r") for line in lines)


def _header(lines: list[str], path: tuple[str, ...]) -> int | None:
    parts = r"[ \t]*\.[ \t]*".join(rf'(?:{re.escape(part)}|"{re.escape(part)}")' for part in path)
    header = re.compile(rf"[ \t]*\[[ \t]*{parts}[ \t]*\][ \t]*(?:#.*)?\r?$")
    return next((at for at, line in enumerate(lines) if header.match(line)), None)
