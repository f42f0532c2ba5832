"""A user's own models on top of the built-in ones, which keep working whatever is wrong with the file."""

from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from .build import Builder
from .reading import DataError, Raw, Tables, read_file, spell_out
from .registry import Registry
from .spec import Model


def load_overlay(path: Path, tables: Tables, models: Mapping[str, Model], *, allow_unlisted: bool) -> Registry:
    """A registry with the file's models added, changed or replaced; those with a fault are left as they were."""
    problems: list[str] = []
    try:
        table = read_file(path)
        extended = tables.extended({name: rows for name, rows in table.items() if name != "defaults"})
        built = _models(table, extended, problems)
    except DataError as error:
        return Registry(tables, models, allow_unlisted=allow_unlisted, overlay_problems=[f"{path}: {error}"])
    registry = Registry(extended, _on_top(built, models), allow_unlisted=allow_unlisted)
    wrong = {name: what for name in built if (what := faults(registry, name))}
    if wrong:
        kept = {name: model for name, model in built.items() if name not in wrong}
        extended.models |= {name: tables.models.get(name, {}) for name in wrong}
        registry = Registry(extended, _on_top(kept, models), allow_unlisted=allow_unlisted)
    problems += [what for lines in wrong.values() for what in lines]
    registry.overlay_problems.extend(f"{path}: {what}" for what in problems)
    return registry


def _on_top(own: dict[str, Model], models: Mapping[str, Model]) -> Mapping[str, Model]:
    return ChainMap(own, cast(dict[str, Model], models))


def _models(table: Raw, tables: Tables, problems: list[str]) -> dict[str, Model]:
    own: Raw = table.get("model", {})
    defaults = {"source": "overlay", **table.get("defaults", {})}
    done: set[str] = set()
    built: dict[str, Model] = {}
    for name in own:
        before = tables.models.get(name)
        try:
            tables.models[name] = spell_out(name, own, tables, defaults, done)
            done.add(name)
            built[name] = Builder(tables).model(name)
        except DataError as error:
            problems.append(str(error))
            if before is None:
                tables.models.pop(name, None)
            else:
                tables.models[name] = before
    return built


def faults(registry: Registry, name: str) -> list[str]:
    """What is wrong with a model beyond its words: names it leans on that are not there, an example it refuses."""
    model = registry.models[name]
    found: list[str] = []
    for index, rule in enumerate(model.rules):
        asked = (*rule.only, *rule.when, *rule.unless)
        used = {rule.parameter, *(path for path, _ in asked), *(() if rule.kind == "sum-of" else rule.others)} - {""}
        found.extend(
            f"model.{name}.rules.{index}: no parameter {path!r}" for path in sorted(used) if not _has(model, path)
        )
    for alias in model.aliases:
        other = registry.get(alias)
        if other is not None and other.id != name:
            found.append(f"model.{name}.aliases: {alias!r} is the name of {other.id}")
    found.extend(
        f"model.{name}.replacements: no model {other!r}" for other in model.replacements if registry.get(other) is None
    )
    if model.status != "placeholder":
        checked = registry.check(model.endpoint, name, model.example)
        found.extend(f"model.{name}.example: {problem.message}" for problem in checked.problems)
    return found


def _has(model: Model, path: str) -> bool:
    first, *rest = path.split(".")
    parameter = model.parameters.get(first)
    for part in rest:
        parameter = parameter.properties.get(part) if parameter else None
    return parameter is not None
