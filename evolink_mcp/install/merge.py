"""Merges our entry into the text of a client's file. Everything else in it keeps its bytes and its meaning."""

from __future__ import annotations

import copy
import json
import tomllib
from dataclasses import dataclass
from typing import Any, cast

from evolink_mcp.errors import Refused
from evolink_mcp.install import jsonc
from evolink_mcp.install.clients import Client
from evolink_mcp.install.entries import NAME, Content

REMOTE_KEYS = ("url", "serverUrl", "httpUrl")


@dataclass(frozen=True)
class Merged:
    """The new text, and what the user should know of it."""

    text: str
    notes: tuple[str, ...] = ()


def merge(client: Client, text: str, content: Content) -> Merged:
    """``text`` with the entry in it. Merging the same twice changes nothing.

    An entry that is already there keeps its other values: variables of the user, switches of the client.

    Raises:
        Refused: The text cannot be read, or not be changed without a loss.
    """
    try:
        before = _read(client, text)
        present = _at(before, content.container, NAME)
        _check_kind(present, content)
        expected = _expected(before, content)
        new = text if before == expected else _edit(client, text, present is not None, content)
        if _read(client, new) != expected:
            raise ValueError("it is written in a way that cannot be edited without touching something else")
    except RecursionError:
        raise _refused(client, "it is nested too deeply") from None
    except ValueError as error:  # both readers' own errors are ValueErrors
        raise _refused(client, str(error)) from None
    notes = ()
    if client.format == "json" and new.strip() and jsonc.has_comments(new):
        notes = (f"The file has comments or trailing commas: they were kept, but {client.title} may not read them.",)
    return Merged(new, notes)


def read_entry(client: Client, text: str) -> dict[str, Any] | None:
    """Our entry in a text, if there is one.

    Raises:
        ValueError: The text cannot be read.
    """
    try:
        entry = _at(_read(client, text), client.container, NAME)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if entry is None:
        return None
    return cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}


def _plain(text: str) -> dict[str, Any]:
    """The object that a text is in plain JSON; empty for anything else. Files of clients grow to many megabytes, which
    the reader that keeps comments takes seconds for."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _read(client: Client, text: str) -> dict[str, Any]:
    if client.format == "toml":
        return tomllib.loads(text)
    if plain := _plain(text):
        return plain
    node = jsonc.parse(text)
    if node is not None and not node.is_object:
        raise jsonc.NotJson("it is not an object")
    return cast("dict[str, Any]", node.value) if node else {}


def _at(value: object, *path: str) -> Any:
    for name in path:
        if not isinstance(value, dict):
            raise ValueError(f"what should hold {name} is not an object")
        value = cast("dict[str, Any]", value).get(name)
        if value is None:
            return None
    return value


def _check_kind(present: Any, content: Content) -> None:
    if present is None:
        return
    if not isinstance(present, dict):
        raise ValueError(f"the entry {NAME} is not an object")
    there = [name for name in REMOTE_KEYS if name in present]
    if ("command" in content.entry and there) or ("command" not in content.entry and "command" in present):
        raise ValueError(f"it has an entry {NAME} of the other kind (local or remote); remove it first")


def _expected(before: dict[str, Any], content: Content) -> dict[str, Any]:
    after = copy.deepcopy(before)
    for name, item in content.additions.items():
        items = after.setdefault(name, [])
        if isinstance(items, list) and not _listed(cast("list[Any]", items), item):
            cast("list[Any]", items).append(item)
    _deep_update(after, {content.container: {NAME: content.entry}})
    return after


def _listed(items: list[Any], item: dict[str, Any]) -> bool:
    """Whether there is an item with this id, whatever else it holds."""
    return any(isinstance(each, dict) and cast("dict[str, Any]", each).get("id") == item["id"] for each in items)


def _deep_update(target: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            _deep_update(target[name], cast("dict[str, Any]", value))
        else:
            target[name] = copy.deepcopy(cast("object", value))


def _edit(client: Client, text: str, present: bool, content: Content) -> str:
    if client.format == "toml":
        from evolink_mcp.install import tomltext

        return tomltext.set_table(text, (content.container, NAME), content.entry)
    for name, item in content.additions.items():
        node = jsonc.parse(text)
        items = node.value.get(name) if node else None
        if not isinstance(items, list) or not _listed(cast("list[Any]", items), item):
            text = jsonc.append(text, name, item)
    if not present:
        return jsonc.assign(text, [content.container, NAME], content.entry)
    for name, value in content.entry.items():
        inner = cast("dict[str, Any]", value).items() if isinstance(value, dict) else [(None, value)]
        for key, part in inner:
            text = jsonc.assign(text, [content.container, NAME, name, *([key] if key else [])], part)
    return text


def _refused(client: Client, why: str) -> Refused:
    return Refused(
        f"The configuration of {client.title} was left as it is: {why}.",
        code="file_refused",
        next_step="Put the entry below into the file by hand.",
    )
