"""A whole call against a model: every problem at once, and what to send."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast

from evolink_mcp.registry.choices import fits
from evolink_mcp.registry.finding import likeness
from evolink_mcp.registry.findings import Findings
from evolink_mcp.registry.rules import broken
from evolink_mcp.registry.spec import AnyEndpoint, Checked, Model, Problem, Spelling
from evolink_mcp.registry.text import listed, shown
from evolink_mcp.registry.values import check_all, switch

if TYPE_CHECKING:
    from evolink_mcp.registry.registry import Registry


_MAKES = {"image": "images", "video": "videos", "audio": "sound"}


def check(registry: "Registry", endpoint: AnyEndpoint, name: str, params: Mapping[str, object]) -> Checked:
    """What `Registry.check` promises."""
    given = {key: value for key, value in params.items() if value is not None}
    model = registry.get(name)
    if model is None:
        return _unlisted(registry, endpoint, name, given)
    refusal = _not_callable(model, endpoint, name)
    if refusal:
        return Checked(model, given, (refusal,))
    found = Findings(name, given)
    _own_words(registry, model, given, found)
    sent = check_all(model.parameters, given, "", found)
    for key in [key for key in sent if key not in model.parameters]:
        _unknown(registry, model, key, sent[key], found)
    wrong = {problem.parameter for problem in found.problems}
    for rule in model.rules:
        where = rule.parameter or (rule.others or [name for name, _ in rule.when])[0]
        against = broken(rule, sent)
        # A note about a value that is refused anyway would only be noise.
        if against is not None and not (rule.hold == "warn" and where in wrong):
            text = f"{rule.message}; {against}"
            found.fault((rule.hold, rule.source), where, text, given=against, allowed=rule.message)
    return Checked(model, sent, tuple(found.problems), tuple(found.notes))


def _unlisted(registry: "Registry", endpoint: AnyEndpoint, name: str, given: dict[str, object]) -> Checked:
    if not registry.allow_unlisted:
        near = registry.nearest(name, kind=endpoint)
        message = f"model: there is no model {shown(name)}; nearest: {', '.join(near)}."
        return Checked(None, given, (Problem("model", message, shown(name), ", ".join(near)),))
    found = Findings(name, given)
    found.note(f"model: {shown(name)} is not listed here; sent unchecked")
    sent = check_all(registry.common, given, "", found)
    return Checked(None, sent, tuple(found.problems), tuple(found.notes))


def _not_callable(model: Model, endpoint: AnyEndpoint, name: str) -> Problem | None:
    if model.status == "placeholder":
        live = ", ".join(model.replacements)
        return Problem("model", f"model: {name} cannot be called itself; use one of: {live}.", shown(name), live)
    if model.endpoint != endpoint:
        does = "is called through" if model.kind == "asset" else f"makes {_MAKES[model.endpoint]}: use"
        message = f"model: {name} {does} generate_{model.endpoint}."
        return Problem("model", message, shown(name), f"generate_{model.endpoint}")
    return None


def _own_words(registry: "Registry", model: Model, given: dict[str, object], found: Findings) -> None:
    """Renames friendly spellings to the model's own, in place."""
    for key in [key for key in given if key not in model.parameters]:
        spelling = model.spellings.get(key) or registry.spellings.get(key)
        if spelling is None or any(target not in model.parameters for target in spelling.to):
            continue
        values = _respelled(spelling, given[key])
        if not values:
            continue
        value = given.pop(key)
        against = [
            target
            for target, wanted in values.items()
            if target in given and switch(model.parameters[target], given[target]) != wanted
        ]
        if against:
            said = listed(f"{target} {shown(given[target])}" for target in against)
            text = f"{shown(value)} means {listed(values)} here, and {said} says otherwise; give one of them"
            found.fault(("refuse", ""), key, text, given=shown(value), allowed=", ".join(values))
            continue
        given |= values
        became = listed(f"{target} {shown(wanted)}" for target, wanted in values.items())
        found.note(f"{key}: {found.name} calls it {listed(values)}; {key} {shown(value)} sent as {became}")


def _respelled(spelling: Spelling, value: object) -> dict[str, object]:
    """Wire parameters for a friendly one; empty where the value has no one meaning."""
    first = spelling.to[0]
    if spelling.values:
        wanted = spelling.values.get(str(value).lower() if isinstance(value, bool | str) else "")
        return {first: wanted} if wanted is not None else {}
    if spelling.shape == "same":
        return {first: value}
    if spelling.shape == "list":
        return {first: [value]} if isinstance(value, str) else {}
    items = cast(list[object], value) if isinstance(value, list) else []
    if spelling.shape == "single":
        return {first: items[0]} if len(items) == 1 else {}
    return dict(zip(spelling.to, items, strict=False)) if len(items) <= len(spelling.to) else {}


def _unknown(registry: "Registry", model: Model, key: str, value: object, found: Findings) -> None:
    near = get_close_matches(key, model.parameters, 1, 0.75)
    inside = _inside(model, key)
    takers = [one.id for one in registry.models.values() if one.endpoint == model.endpoint and _takes(one, key)]
    if model.open and key not in registry.closed and not inside and (takers or not near):
        found.note(f"{key}: not known to be taken by {found.name}, whose page is not fully known; sent as given")
        return
    hinted = [name for name in registry.hints.get(key, ()) if name in model.parameters]
    hinted.sort(key=lambda name: not fits(model.parameters[name], value))
    said = [f"{found.name} has no such parameter."]
    if inside:
        said.append(f"Put it in {inside}: {inside}.{key}.")
    else:
        said += [f"Did you mean {name}?" for name in [*near, *hinted][:1]]
    if takers and not inside:
        takers.sort(key=lambda name: -likeness(model.id, name))
        more = f" and {len(takers) - 3} more" if len(takers) > 3 else ""
        said.append(f"Taken by {', '.join(takers[:3])}{more}.")
    allowed = ", ".join(model.parameters)
    said.append(f"It takes {allowed}")
    found.fault(("refuse", ", ".join(model.sources)), key, " ".join(said), given=shown(value), allowed=allowed)


def _inside(model: Model, key: str) -> str:
    """The parameter whose object holds one of this name, empty where none does."""
    return next((name for name, one in model.parameters.items() if key in one.properties), "")


def _takes(model: Model, key: str) -> bool:
    return key in model.parameters or bool(_inside(model, key))
