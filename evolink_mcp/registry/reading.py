"""From data files to plain tables: reading TOML and JSON, and spelling out what one entry takes over from another.

Nothing is judged here beyond what inheritance needs; ``shape.py`` and ``build.py`` do that.
"""

import json
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from evolink_mcp.registry.spec import Raw

# These describe one model alone; everything else is taken over through `like`.
OWN = frozenset("like replace description aliases head since superseded_by".split())
_HEADING = re.compile(r"^\[model\.(?:'([^']+)'|([\w-]+))\]$", re.MULTILINE)


class DataError(Exception):
    """A data file says something its vocabulary does not allow.

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
    """Shared parameters already spelled out."""

    def section(self, name: str) -> Raw:
        return self.sections.setdefault(name, {})

    def extended(self, table: Raw) -> "Tables":
        """A copy with another file's shared sections on top."""
        copy = Tables({name: dict(rows) for name, rows in self.sections.items()}, dict(self.models))
        copy.add(table)
        return copy

    def add(self, table: Raw) -> None:
        for name, rows in table.items():
            if name not in ("model", "defaults"):
                self.section(name).update(rows)

    def add_models(self, table: Raw, defaults: Raw) -> None:
        """Spells out a file's models.

        Raises:
            DataError: A model is there already, or leans on something that is not.
        """
        own: Raw = table.get("model", {})
        for name in own:
            if name in self.models:
                raise DataError(f"model.{name}", "is described twice")
            self.models[name] = spell_out(name, own, self, defaults, set(self.models))


class Files:
    """The built-in files. What they share is read at once, a family's file when one of its models is first needed.

    The first of the paths holds what all share. The others are named by endpoint and family, ``video-openai.toml``.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        shared, *families = paths
        common = read_file(shared)
        self._defaults: Raw = common.get("defaults", {})
        self.common = Tables()
        self.common.add(common)
        self.endpoints: dict[str, str] = {}
        """The endpoint of every model."""
        self._texts = {path: path.read_text(encoding="utf-8") for path in families}
        self._paths: dict[str, Path] = {}
        self._tables: dict[Path, Tables] = {}
        for path, text in self._texts.items():
            for quoted, bare in _HEADING.findall(text):
                name = quoted or bare
                if name in self._paths:
                    raise DataError(f"model.{name}", "is described twice")
                self._paths[name] = path
                self.endpoints[name] = path.stem.partition("-")[0]

    def tables_of(self, name: str) -> Tables:
        """What the file of this model says, with what all files share."""
        path = self._paths[name]
        if path not in self._tables:
            self._tables[path] = self._read(path, self.common)
        return self._tables[path]

    @cached_property
    def whole(self) -> Tables:
        """What all files say together."""
        tables = self.common
        for path in self._texts:
            tables = self._read(path, tables)
        return tables

    def _read(self, path: Path, below: Tables) -> Tables:
        table: Raw = tomllib.loads(self._texts[path])
        tables = below.extended(table)
        tables.add_models(table, {**self._defaults, **table.get("defaults", {})})
        return tables


def read_file(path: Path) -> Raw:
    """One TOML or JSON file as a table.

    Raises:
        DataError: It cannot be read; with the line where the parser tells it.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError("", "is not an ordinary file")  # a pipe would be waited for
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin files with a mark
        parsed: Any = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError("", f"cannot be read: {error}") from error
    return as_table(parsed, "the file")


def spell_out(name: str, own: Raw, tables: Tables, defaults: Mapping[str, Any], done: set[str]) -> Raw:
    """One model with all it takes over: from ``like``, else from its namesake, else from the file's defaults.

    ``own`` is the file's table of models; those of its names in ``done`` are in ``tables`` in their new form already.

    Raises:
        DataError: It leans on something that is not there.
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
    """A parameter spelled out: ``false`` takes it away, a name stands for a shared one, and a table without ``type`` or
    ``like`` changes the one taken over."""
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


def _shared(name: str, tables: Tables, key: str) -> Raw:
    if name not in tables.parameters:
        entries = tables.section("shared")
        if name not in entries:
            raise DataError(key, f"no shared parameter {name!r}")
        # Out of sight while it is spelled out, so that one that leans on itself counts as missing.
        entry = entries.pop(name)
        try:
            tables.parameters[name] = _merge(entry, None, tables, f"shared.{name}")
        finally:
            entries[name] = entry
    return tables.parameters[name]


def as_table(value: Any, key: str) -> Raw:
    """The value itself, where it is a table.

    Raises:
        DataError: It is not.
    """
    if not isinstance(value, dict):
        raise DataError(key, "must be a table")
    return cast(Raw, value)
