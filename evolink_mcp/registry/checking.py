"""A whole call against a model: every problem at once, and what to send."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, cast

from evolink_mcp.registry.bounds import MAX_NAME_CHARACTERS, MAX_UNKNOWN, excess
from evolink_mcp.registry.choices import fits
from evolink_mcp.registry.masks import check_masks
from evolink_mcp.registry.report import Report
from evolink_mcp.registry.rules import broken
from evolink_mcp.registry.search import likeness
from evolink_mcp.registry.spec import EMPTY, Checked, Endpoint, FileFacts, Hold, Model, Problem, Spelling
from evolink_mcp.registry.text import listed, quote
from evolink_mcp.registry.values import check_all, suits, switch

if TYPE_CHECKING:
    from evolink_mcp.registry.registry import Registry


_MAKES = {"image": "images", "video": "videos", "audio": "sound"}


def check(
    registry: "Registry",
    endpoint: Endpoint,
    name: str,
    params: Mapping[str, object],
    files: Mapping[str, FileFacts],
) -> Checked:
    """What ``Registry.check`` promises."""
    model = registry.get(name)
    known = set(model.parameters if model else registry.common)
    known.update(registry.spellings, model.spellings if model else ())
    call, more = _bounded(params, known)
    report = Report(name, call, files)
    report.synonyms = registry.synonyms
    for key, value in call.items():
        if why := excess(value):
            report.fault(("refuse", ""), key, why)
    if report.problems or (model is None and more):
        return Checked(model, call, (*report.problems, *_too_many(name, more)))
    if model is None:
        return _unlisted(registry, endpoint, name, call)
    refusal = _not_callable(model, endpoint, name)
    if refusal:
        return Checked(model, call, (refusal,))
    _respell(registry, model, call, report)
    sent = check_all(model.parameters, call, "", report)
    for key in [key for key in sent if key not in model.parameters]:
        _unknown(registry, model, key, sent[key], report)
    report.problems += _too_many(name, more)
    if files:
        check_masks(model, sent, report)
    wrong = {problem.parameter for problem in report.problems}
    for rule in model.rules:
        where = rule.parameter or (rule.others or [name for name, _ in rule.when])[0]
        against = broken(rule, sent)
        # A note about a value that is refused anyway would only be noise.
        if against is not None and not (rule.hold == "warn" and where in wrong):
            text = f"{rule.message}; {against}"
            if rule.kind == "advise":
                report.note(f"{where}: {text} ({rule.source}); sent as given")
                continue
            report.fault((rule.hold, rule.source), where, text, value=against, allowed=rule.message)
    return Checked(model, sent, tuple(report.problems), tuple(report.notes), frozenset(report.doubts))


def _too_many(name: str, more: int) -> Iterator[Problem]:
    if more:
        yield Problem("…", f"…: {more:,} more names that {name} does not take.")


def _bounded(params: Mapping[str, object], names: set[str]) -> tuple[dict[str, object], int]:
    """What is given of these names and the first of the others; how many more others there are."""
    others = islice((key for key, value in params.items() if key not in names and value is not None), MAX_UNKNOWN)
    names = {*others, *(key for key in names if params.get(key) is not None)}
    call = {key: value for key, value in params.items() if key in names}
    return call, sum(1 for value in params.values() if value is not None) - len(call) if len(call) < len(params) else 0


def _unlisted(registry: "Registry", endpoint: Endpoint, name: str, call: dict[str, object]) -> Checked:
    if not registry.allow_unlisted:
        near = registry.nearest(name, kind=endpoint)
        message = f"model: there is no model {quote(name)}; nearest: {', '.join(near)}."
        return Checked(None, call, (Problem("model", message, quote(name), ", ".join(near)),))
    report = Report(name, call)
    report.note(f"model: {quote(name)} is not listed here; sent unchecked")
    sent = check_all(registry.common, call, "", report)
    return Checked(None, sent, tuple(report.problems), tuple(report.notes))


def _not_callable(model: Model, endpoint: Endpoint, name: str) -> Problem | None:
    if model.status == "placeholder":
        live = ", ".join(model.replacements)
        return Problem("model", f"model: {name} cannot be called itself; use one of: {live}.", quote(name), live)
    if model.endpoint != endpoint:
        does = "is called through" if model.kind == "asset" else f"makes {_MAKES[model.endpoint]}: use"
        message = f"model: {name} {does} generate_{model.endpoint}."
        return Problem("model", message, quote(name), f"generate_{model.endpoint}")
    return None


def _respell(registry: "Registry", model: Model, call: dict[str, object], report: Report) -> None:
    """Renames friendly spellings to the model's own, in place."""
    for key in [key for key in call if key not in model.parameters]:
        spelling = model.spellings.get(key) or registry.spellings.get(key)
        values: Mapping[str, object] = _meant(registry, model, spelling, call[key]) if spelling else EMPTY
        if not values:
            continue
        value = call.pop(key)
        against = [
            target
            for target, wanted in values.items()
            if target in call and switch(model.parameters[target], call[target]) != wanted
        ]
        if against:
            other = listed(f"{target} {quote(call[target])}" for target in against)
            text = f"{quote(value)} means {listed(values)} here, and {other} says otherwise; give one of them"
            report.fault(("refuse", ""), key, text, value=quote(value), allowed=", ".join(values))
            continue
        call |= values
        became = listed(f"{target} {quote(wanted)}" for target, wanted in values.items())
        # A link is not told again: its caller has it.
        manner = "sent so" if "://" in quote(value) else f"{key} {quote(value)} sent as {became}"
        report.note(f"{key}: {report.name} calls it {listed(values)}; {manner}")


def _meant(registry: "Registry", model: Model, spelling: Spelling, value: object) -> Mapping[str, object]:
    """The wire parameters that a friendly one stands for on this model; empty where it stands for itself."""
    has = [target for target in spelling.to if target in model.parameters]
    if not has:
        return {}
    if spelling.shape == "fitting":
        fitting = [target for target in has if suits(model.parameters[target], value, registry.synonyms)]
        return {fitting[0]: value} if fitting else {}
    if spelling.shape == "first":
        return {has[0]: value}
    return _wire_values(spelling, value) if len(has) == len(spelling.to) else {}


def _wire_values(spelling: Spelling, value: object) -> dict[str, object]:
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


def _unknown(registry: "Registry", model: Model, key: str, value: object, report: Report) -> None:
    near = get_close_matches(key[:MAX_NAME_CHARACTERS], model.parameters, 1, 0.75)
    inside = _inside(model, key)
    takers = registry.takers(model.endpoint, key)
    if model.open and key not in registry.closed and not inside and (takers or not near):
        text = f"{key}: not known to be taken by {report.name}, whose page is not fully known; sent as given"
        report.doubt(key, text)
        return
    hinted = [name for name in registry.hints.get(key, ()) if name in model.parameters]
    hinted.sort(key=lambda name: not fits(model.parameters[name], value))
    parts = [f"{report.name} has no such parameter."]
    if inside:
        parts.append(f"Put it in {inside}: {inside}.{key}.")
    else:
        parts += [f"Did you mean {name}?" for name in [*near, *hinted][:1]]
    nearest = () if inside else tuple(nsmallest(3, takers, key=lambda name: -likeness(model.id, name)))
    allowed = ", ".join(model.parameters)
    if not any(f"It takes {allowed}" in problem.message for problem in report.problems):
        parts.append(f"It takes {allowed}")
    held: tuple[Hold, str] = ("refuse", ", ".join(model.sources))
    report.fault(held, key, " ".join(parts), value=quote(value), allowed=allowed, takers=nearest)


def _inside(model: Model, key: str) -> str:
    """The parameter whose object holds one of this name, empty where none does."""
    return next((name for name, one in model.parameters.items() if key in one.properties), "")
