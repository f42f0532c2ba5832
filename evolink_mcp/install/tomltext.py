"""One table of a TOML file, edited in place: what an edit does not touch stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import tomlkit
from tomlkit.items import AbstractTable, InlineTable

MAX_CHARACTERS = 1_000_000  # of a text that is edited: the reader that keeps comments takes seconds for so many


def set_table(text: str, path: tuple[str, ...], table: Mapping[str, Any]) -> str:
    """The text with the keys of ``table`` at ``path``, which is made where it is missing. Line ends stay.

    Raises:
        ValueError: The text is not TOML, or too long, or something on the way is no table.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has more than {MAX_CHARACTERS:,} characters, too many for an edit that keeps all else")
    crlf = "\r\n" in text and text.count("\r\n") == text.count("\n")
    document = tomlkit.parse(text.replace("\r\n", "\n") if crlf else text)
    parent: Any = document
    for name in path[:-1]:
        if name not in parent:
            parent[name] = tomlkit.table(is_super_table=True)
        parent = parent[name]
    _update(parent, path[-1], table)
    new = tomlkit.dumps(document)  # pyright: ignore[reportUnknownMemberType]
    new += "" if not new or new.endswith("\n") else "\n"
    return new.replace("\n", "\r\n") if crlf else new


def _update(parent: Any, name: str, values: Mapping[str, Any]) -> None:
    if name not in parent:
        parent[name] = _table(values, inline=isinstance(parent, InlineTable))
        return
    target = parent[name]
    for key, value in values.items():
        if isinstance(value, dict):
            _update(target, key, cast("dict[str, Any]", value))
        elif target.get(key) != value:
            target[key] = value


def _table(values: Mapping[str, Any], *, inline: bool) -> AbstractTable:
    """A new table; inside an inline one it has to be inline too."""
    table = tomlkit.inline_table() if inline else tomlkit.table()
    for key, value in values.items():
        table[key] = _table(cast("dict[str, Any]", value), inline=inline) if isinstance(value, dict) else value
    return table
