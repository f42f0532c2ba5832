"""Calls for the registry's tests, and what may be said of the answers."""

from collections.abc import Mapping
from functools import cache
from typing import Protocol, cast

from evolink_mcp.registry import Checked, Model, Registry, load

LINK = "https://example.com/a"  # tells nothing of what it holds
P: dict[str, object] = {"prompt": "A fox"}


@cache
def registry() -> Registry:
    return load()


def model(name: str) -> Model:
    found = registry().get(name)
    assert found is not None, name
    return found


def check(name: str, params: Mapping[str, object]) -> Checked:
    """A call through the endpoint of its model."""
    return registry().check(model(name).endpoint, name, params)


def callable_models() -> list[str]:
    return [one.id for one in registry().models.values() if one.status != "placeholder"]


def message(name: str, parameter: str, params: dict[str, object]) -> str:
    """The one problem of a parameter."""
    (problem,) = [p.message for p in check(name, P | params).problems if p.parameter == parameter]
    return problem


def links(count: int) -> list[str]:
    """Links that tell nothing of what they hold."""
    return [f"https://example.com/{number}" for number in range(count)]


def bare_call(name: str) -> dict[str, object]:
    """The model's example without what only decorates it: what is required, and what it works on."""
    described = model(name)
    kept: dict[str, object] = {}
    for key, value in described.example.items():
        parameter = described.parameters[key]
        if parameter.required or {"url", "url-list", "object"} & {*parameter.types}:
            kept[key] = value
    return kept


def refused(checked: Checked, parameter: str) -> bool:
    return any(problem.parameter == parameter for problem in checked.problems)


def noted(checked: Checked, parameter: str) -> bool:
    return any(note.startswith(f"{parameter}:") for note in checked.notes)


def outcome(checked: Checked, parameter: str) -> str:
    """What became of one parameter: refused, noted or sent."""
    if refused(checked, parameter):
        return "refused"
    return "noted" if noted(checked, parameter) else "sent"


def as_list(value: object) -> list[object]:
    assert isinstance(value, list)
    return cast(list[object], value)


class Overlay(Protocol):
    """Loads a registry over a file with this text."""

    def __call__(self, text: str, name: str = "models.toml", *, allow_unlisted: bool = False) -> Registry: ...


ABOUT = "kind = 'image'\nprovider = 'Me'\ndescription = 'Mine.'\nexample = { prompt = 'A fox' }\n"
MINE = f"""
[model.mine]
{ABOUT}
[model.mine.parameters]
prompt = {{ type = 'string', required = true, length = [1, 10] }}
"""


def built_in_models_work(found: Registry) -> bool:
    names = callable_models()
    return names == [n for n in names if not found.check(found.models[n].endpoint, n, found.models[n].example).problems]
