"""From data files to plain tables: reading TOML and JSON, and spelling out what one entry takes over from another.

Nothing is judged here beyond what inheritance needs; `build.py` does that.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from evolink_mcp.registry.spec import Raw

SECTIONS = frozenset(
    "defaults sources capabilities lists order default_models common closed hints spellings shared rules model".split()
)
TEXT_LISTS = frozenset({"capabilities", "hints", "order", "sources"})
# These describe one model alone; everything else is taken over through `like`.
OWN = frozenset({"like", "replace", "description", "aliases"})


class DataError(Exception):
    """A data file says something the vocabulary does not allow.

    The message is one line: the key as a dotted path, and what is wrong with it. The caller adds the file.
    """

    def __init__(self, key: str, what: str) -> None:
        super().__init__(f"{key}: {what}" if key else what)


@dataclass
class Tables:
    """What some files say together: shared tables by section, and every model spelled out in full."""

    sections: dict[str, Raw] = field(default_factory=dict[str, Raw])
    models: dict[str, Raw] = field(default_factory=dict[str, Raw])
    parameters: Raw = field(default_factory=Raw)
    """Shared parameters already spelled out; one table each, so that they are built once."""

    def section(self, name: str) -> Raw:
        return self.sections.setdefault(name, {})

    def extended(self, table: Raw) -> "Tables":
        """A copy with another file's shared sections on top."""
        sections = {name: dict(rows) for name, rows in self.sections.items()}
        copy = Tables(sections, dict(self.models))
        copy.add(table)
        return copy

    def add(self, table: Raw) -> None:
        for name, rows in table.items():
            if name != "model":
                self.section(name).update(rows)


def read_file(path: Path) -> Raw:
    """One TOML or JSON file as a table. Raises: DataError, with the line where the parser tells it."""
    try:
        text = path.read_text(encoding="utf-8")
        parsed: Any = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise DataError("", f"cannot be read: {error}") from error
    table = as_table(parsed, "the file")
    for name, rows in table.items():
        if name not in SECTIONS:
            raise DataError(name, f"unknown section; known: {', '.join(sorted(SECTIONS))}")
        for key, row in as_table(rows, name).items():
            _check_row(name, key, row)
    return table


def _check_row(section: str, key: str, row: object) -> None:
    """Rows that are used as they stand, and so have to be right from the start."""
    if section in TEXT_LISTS and not (
        isinstance(row, list) and all(isinstance(one, str) for one in cast(list[Any], row))
    ):
        raise DataError(f"{section}.{key}", "must be a list of texts")
    if section == "default_models" and not isinstance(row, str):
        raise DataError(f"{section}.{key}", "must be a model's id")


def read_files(paths: Iterable[Path]) -> Tables:
    """Files that belong together, in the order given; each file's defaults are its own. Raises: DataError."""
    tables = Tables()
    common: Raw = {}
    for path in paths:
        table = read_file(path)
        own: Raw = table.get("model", {})
        defaults = {**common, **table.pop("defaults", {})}
        if not own:
            common = defaults
        tables.add(table)
        for name in own:
            if name in tables.models:
                raise DataError(f"model.{name}", "is described twice")
            tables.models[name] = spell_out(name, own, tables, defaults, set(tables.models))
    return tables


def spell_out(name: str, own: Raw, tables: Tables, defaults: Mapping[str, Any], done: set[str]) -> Raw:
    """One model with all it takes over: from `like`, else from its namesake, else from the file's defaults.

    `own` is the file's table of models; those of its names in `done` are in `tables` in their new form already.
    Raises: DataError.
    """
    key = f"model.{name}"
    raw = as_table(own[name], key)
    like = raw.get("like")
    base: Raw = {}
    if like is not None:
        if like in own and like not in done:
            # The name itself counts as done from here on, so a circle ends at "no model".
            base = spell_out(like, own, tables, defaults, done | {name})
        elif like in tables.models and like != name:
            base = tables.models[like]
        else:
            raise DataError(f"{key}.like", f"no model {like!r} to take over from")
        base = {key: value for key, value in base.items() if key not in OWN}
    elif raw.get("replace") is not True:
        base = tables.models.get(name, {})
    parameters: Raw = dict(base.get("parameters", {}))
    _merge_into(parameters, raw.get("parameters", {}), tables, f"{key}.parameters")
    full = {**defaults, **base, **raw, "parameters": parameters}
    full.pop("like", None)
    full.pop("replace", None)
    return full


def _merge_into(inherited: Raw, own: Any, tables: Tables, key: str) -> None:
    for name, value in as_table(own, key).items():
        merged = _merge(value, inherited.get(name), tables, f"{key}.{name}")
        if merged is None:
            inherited.pop(name, None)
        else:
            inherited[name] = merged


def _merge(value: Any, base: Raw | None, tables: Tables, key: str) -> Raw | None:
    """A parameter spelled out: `false` takes it away, a name stands for a shared one, and a table without `type` or
    `like` changes the one taken over."""
    if value is False:
        return None
    if isinstance(value, str):
        return _shared(value, tables, key)
    table = as_table(value, key)
    if "like" in table:
        base = _shared(table["like"], tables, f"{key}.like")
    elif "type" in table:
        base = None
    elif base is None:
        raise DataError(key, "has no type")
    full = {**base, **table} if base else dict(table)
    full.pop("like", None)
    if "properties" in table:
        properties: Raw = dict(base.get("properties", {})) if base else {}
        _merge_into(properties, table["properties"], tables, f"{key}.properties")
        full["properties"] = properties
    if "values" in table:
        full["values"] = _merge(table["values"], None, tables, f"{key}.values")
    return full


def _shared(name: Any, tables: Tables, key: str) -> Raw:
    if not isinstance(name, str):
        raise DataError(key, "must be the name of a shared parameter")
    if name not in tables.parameters:
        entries = tables.section("shared")
        if name not in entries:
            raise DataError(key, f"no shared parameter {name!r}")
        # Out of sight while it is spelled out, so that one that leans on itself is found missing.
        entry = entries.pop(name)
        try:
            tables.parameters[name] = _merge(entry, None, tables, f"shared.{name}")
        finally:
            entries[name] = entry
    return tables.parameters[name]


def as_table(value: Any, key: str) -> Raw:
    if not isinstance(value, dict):
        raise DataError(key, "must be a table")
    return cast(Raw, value)
