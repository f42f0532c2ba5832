"""A user's own models on top of the built-in ones, which keep working whatever is wrong with the file."""

from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from evolink_mcp.registry.build import Builder
from evolink_mcp.registry.reading import DataError, Tables, read_file, spell_out
from evolink_mcp.registry.registry import Registry
from evolink_mcp.registry.spec import Model, Raw

# What a table of the wrong shape runs into before the vocabulary can name it.
_MISSHAPEN = (AttributeError, LookupError, TypeError, ValueError)


def load_overlay(path: Path, tables: Tables, models: Mapping[str, Model], *, allow_unlisted: bool) -> Registry:
    """A registry with the file's models added, changed or replaced; those with a fault are left as they were."""
    problems: list[str] = []
    try:
        table = read_file(path)
        extended = tables.extended({name: rows for name, rows in table.items() if name != "defaults"})
        Registry(extended, models)
    except (DataError, *_MISSHAPEN) as error:
        problems.append(f"{path}: {_reason(error, 'the shared tables')}")
        return Registry(tables, models, allow_unlisted=allow_unlisted, overlay_problems=problems)
    built: dict[str, Model] = {}
    defaults = {"source": "overlay", **table.get("defaults", {})}
    for name in table.get("model", {}):
        before = extended.models.get(name)
        own: Mapping[str, Model] = built
        try:
            _sign(table["model"][name])
            extended.models[name] = spell_out(name, table["model"], extended, defaults, set(built))
            own = ChainMap({name: Builder(extended).model(name)}, built, cast(dict[str, Model], models))
            wrong = faults(Registry(extended, own), name, own_rules="rules" in table["model"][name])
        except (DataError, *_MISSHAPEN) as error:
            wrong = [_reason(error, f"model.{name}")]
        if not wrong:
            built[name] = own[name]
            continue
        problems += [f"{path}: {what}" for what in wrong]
        extended.models.pop(name, None)
        if before is not None:
            extended.models[name] = before
    on_top = ChainMap(built, cast(dict[str, Model], models))
    return Registry(extended, on_top, allow_unlisted=allow_unlisted, overlay_problems=problems)


def _sign(raw: Raw) -> None:
    """Marks parameters as the overlay's own, so that no message blames a limit of the user's on a page."""
    for parameter in raw.get("parameters", {}).values():
        if isinstance(parameter, dict):
            cast(Raw, parameter).setdefault("source", raw.get("source", "overlay"))


def _reason(error: Exception, where: str) -> str:
    return str(error) if isinstance(error, DataError) else f"{where}: is not of the right shape ({error})"


def faults(registry: Registry, name: str, *, own_rules: bool = True) -> list[str]:
    """What is wrong with a model beyond its words: names it leans on that are not there, an example it refuses.

    Rules it took over may speak of a parameter it dropped; they then say nothing.
    """
    model = registry.models[name]
    problems: list[str] = []
    for index, rule in enumerate(model.rules if own_rules else ()):
        conditions = (*rule.only, *rule.when, *rule.unless)
        names = {rule.parameter, *(path for path, _ in conditions)}
        used = names.union(() if rule.kind == "sum-of" else rule.others) - {""}
        problems.extend(
            f"model.{name}.rules.{index}: no parameter {path!r}" for path in sorted(used) if not _has(model, path)
        )
    for alias in model.aliases:
        other = registry.get(alias)
        if other is not None and other.id != name:
            problems.append(f"model.{name}.aliases: {alias!r} is the name of {other.id}")
    problems.extend(
        f"model.{name}.replacements: no model {other!r}" for other in model.replacements if registry.get(other) is None
    )
    if model.status != "placeholder":
        checked = registry.check(model.endpoint, name, model.example)
        problems.extend(f"model.{name}.example: {problem.message}" for problem in checked.problems)
    return problems


def _has(model: Model, path: str) -> bool:
    first, *rest = path.split(".")
    parameter = model.parameters.get(first)
    for part in rest:
        parameter = parameter.properties.get(part) if parameter else None
    return parameter is not None
