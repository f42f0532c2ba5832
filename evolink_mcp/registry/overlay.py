"""A user's own models on top of the built-in ones, which keep working whatever is wrong with the file."""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from evolink_mcp.registry.build import Builder
from evolink_mcp.registry.reading import DataError, Tables, read_file, spell_out
from evolink_mcp.registry.registry import Registry
from evolink_mcp.registry.spec import Model, Raw


def load_overlay(path: Path, tables: Tables, models: Mapping[str, Model], *, allow_unlisted: bool) -> Registry:
    """A registry with the file's models added, changed or replaced; those with a fault are left as they were."""
    # Pydantic's work is needed only where a file of the user's is checked.
    from evolink_mcp.registry import shape, shape_check

    problems: list[str] = []
    try:
        table = read_file(path)
        shared: Raw = {name: section for name, section in table.items() if name != "model"}
        for problem in shape_check.faults(shape.File, shared):
            raise problem
        rows = cast(Raw, table.get("model", {}))
        for problem in shape_check.faults(dict[str, object], rows, "model"):
            raise problem
        extended = tables.extended(shared)
        Registry(extended, models)
    except DataError as error:
        problems.append(f"{path}: {error}")
        return Registry(tables, models, allow_unlisted=allow_unlisted, overlay_problems=problems)
    built: dict[str, Model] = {}
    defaults = {"source": "overlay", **shared.get("defaults", {})}
    for name, raw in rows.items():
        before = extended.models.get(name)
        wrong = [str(error) for error in shape_check.faults(shape.Model, raw, f"model.{name}")]
        if not wrong:
            _sign(raw)
            try:
                extended.models[name] = spell_out(name, rows, extended, defaults, set(built))
                own = ChainMap({name: Builder(extended).model(name)}, built, cast(dict[str, Model], models))
                wrong = list(faults(Registry(extended, own), name, own_rules="rules" in raw))
            except DataError as error:
                wrong = [str(error)]
            else:
                built[name] = own[name]
        if wrong:
            problems += [f"{path}: {what}" for what in wrong]
            built.pop(name, None)
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


def faults(registry: Registry, name: str, *, own_rules: bool = True) -> Iterator[str]:
    """What is wrong with a model beyond its words: names it leans on that are not there, an example it refuses.

    Rules it took over may speak of a parameter it dropped; they then say nothing.
    """
    model = registry.models[name]
    for index, rule in enumerate(model.rules if own_rules else ()):
        names = {rule.parameter, *(path for path, _ in (*rule.only, *rule.when, *rule.unless))}
        used = names.union(() if rule.kind == "sum-of" else rule.others) - {""}
        yield from (
            f"model.{name}.rules.{index}: no parameter {path!r}" for path in sorted(used) if not _has(model, path)
        )
    for alias in model.aliases:
        other = registry.get(alias)
        if other is not None and other.id != name:
            yield f"model.{name}.aliases: {alias!r} is the name of {other.id}"
    for field in ("replacements", "follow_ups", "superseded_by"):
        others = getattr(model, field) or ()
        for other in (others,) if isinstance(others, str) else others:
            if registry.get(other) is None:
                yield f"model.{name}.{field}: no model {other!r}"
    if model.status != "placeholder":
        checked = registry.check(model.endpoint, name, model.example)
        yield from (f"model.{name}.example: {problem.message}" for problem in checked.problems)


def _has(model: Model, path: str) -> bool:
    first, *rest = path.split(".")
    parameter = model.parameters.get(first)
    for part in rest:
        parameter = parameter.properties.get(part) if parameter else None
    return parameter is not None
