"""A model in full, for a program and for a reader. Both are compact: an agent pays for every word it reads."""

import json
from collections.abc import Iterator
from typing import cast

from evolink_mcp.registry.choices import choices
from evolink_mcp.registry.sizes import between, grammar
from evolink_mcp.registry.spec import Condition, Model, Parameter, Rule, Span, Test
from evolink_mcp.registry.text import words

WARNED = "~"
"""Marks for agents what is warned of and not refused."""
_EXTENTS = ("length", "bytes", "count")


def describe_call(model: Model) -> dict[str, object]:
    """What an agent needs in order to call a model, ready for JSON: parameters, rules and an example.

    As in :func:`describe`, without sources, without what only programs use (``callback_url``), and with ``hold`` only
    where breaking a limit is warned of.
    """
    return _present(
        parameters={
            name: _parameter(parameter, sources=False)
            for name, parameter in model.parameters.items()
            if not parameter.callback
        },
        rules=[_rule_text(rule) for rule in model.rules],
        example=dict(model.example),
    )


def describe(model: Model) -> dict[str, object]:
    """Everything known of a model, ready for JSON. What does not apply is left out.

    A parameter has type, required (true, or the condition in words), allowed, range ``[low, high]``, size (the grammar
    in words), length, bytes and count ``[low, high]``, default, source and hold; ``warned`` names the limits that are
    only warned of, with their source, and ``also_sent`` what is sent with a note although it is outside.
    """
    return _present(
        id=model.id,
        kind=model.kind,
        endpoint=model.endpoint if model.kind == "asset" else None,
        provider=model.provider,
        description=model.description,
        capabilities=list(model.capabilities),
        beta=model.beta or None,
        status=model.status,
        aliases=list(model.aliases),
        replacements=list(model.replacements),
        superseded_by=model.superseded_by,
        since=model.since,
        markers=list(model.markers),
        follow_ups=list(model.follow_ups),
        sources=list(model.sources),
        parameters={name: _parameter(parameter) for name, parameter in model.parameters.items()},
        rules=[_rule(rule) for rule in model.rules],
        notes=list(model.notes),
        example=dict(model.example),
    )


def _parameter(parameter: Parameter, *, sources: bool = True) -> dict[str, object]:
    tolerate = parameter.tolerate
    also = _present(
        allowed=[one for one in tolerate.allowed if one not in parameter.allowed] if tolerate else None,
        range=_ends(tolerate.range) if tolerate else None,
        count=_ends(tolerate.count) if tolerate else None,
        length=_ends(tolerate.length) if tolerate else None,
    )
    facts = _present(
        type=" or ".join(parameter.types),
        required=_required(parameter),
        allowed=list(parameter.allowed),
        any_case=parameter.any_case or None,
        range=_ends(parameter.range),
        step=parameter.step,
        size=grammar(parameter.size) if parameter.size else None,
        unit=parameter.unit,
        default=parameter.default,
        **{extent: _ends(getattr(parameter, extent)) for extent in _EXTENTS},
        source=parameter.source,
        hold=parameter.hold,
        warned=dict(parameter.soft) if sources else list(parameter.soft),
        also_sent={**also, **({"source": tolerate.source} if sources else {})} if tolerate and also else None,
        item=dict(parameter.item),
        note="; ".join(filter(None, (parameter.note, parameter.caution))),
        properties={name: _inner(inner, sources=sources) for name, inner in parameter.properties.items()},
        pattern=parameter.pattern,
        keys=parameter.keys,
        values=_inner(parameter.values, sources=sources) if parameter.values else None,
    )
    if not sources:
        del facts["source"]
        if facts["hold"] == "refuse":
            del facts["hold"]
    return facts


def _inner(parameter: Parameter, *, sources: bool) -> dict[str, object]:
    """A parameter inside another: the hold and the source most of them share are left out."""
    full = _parameter(parameter, sources=sources)
    if sources and (full["hold"], full["source"]) == ("refuse", "docs"):
        del full["hold"], full["source"]
    return full


def _required(parameter: Parameter) -> object:
    required = parameter.required
    if required is None:
        return None
    parts = [f"when {_condition(required.when)}"] if required.when else []
    parts += [f"unless {_condition(required.unless)}"] if required.unless else []
    parts += ["warned only"] if required.hold == "warn" else []
    return ", ".join(parts) or True


def _condition(condition: Condition) -> str:
    return " and ".join(f"{name} {_test(test)}" for name, test in condition)


def _test(test: Test) -> str:
    if test.values is not None:
        return f"is {' or '.join(words(one) for one in test.values)}"
    return f"has {between(test.count)}" if test.count else "is given"


def _rule(rule: Rule) -> dict[str, object]:
    return {"rule": rule.message, "source": rule.source, "hold": rule.hold}


def _ends(span: Span | None) -> list[float | None] | None:
    return None if span is None else [span.low, span.high]


def _present(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def describe_text(model: Model, *, sources: bool = False) -> str:
    """The same for a reader: one line a parameter, required ones marked with a star. People see the ``sources`` too."""
    return "\n".join(_lines(model, sources=sources))


def _lines(model: Model, *, sources: bool) -> Iterator[str]:
    marks = [model.kind, model.provider, *(["beta"] if model.beta else []), model.status]
    yield f"{model.id} ({', '.join(marks)}): {model.description}"
    if model.aliases:
        yield f"Also called: {', '.join(model.aliases)}"
    if model.replacements:
        yield f"Use instead: {', '.join(model.replacements)}"
    if model.superseded_by:
        yield f"Superseded by: {model.superseded_by}"
    if model.capabilities:
        yield f"Can do: {', '.join(model.capabilities)}"
    if model.status == "placeholder":
        return
    shown = [parameter for parameter in model.parameters.values() if sources or not parameter.callback]
    marks = [_mark(parameter, sources=sources) for parameter in shown]
    usual = max(marks, key=marks.count)
    lines = [line for each in shown for line in _parameter_lines(each, usual, "  ", sources=sources)]
    legend = (
        f"; {WARNED} may be exceeded" if any(line.endswith(WARNED) or f"{WARNED};" in line for line in lines) else ""
    )
    if sources:
        legend = f"; [source, breaking it is …]: {usual} unless another is named"
    yield f"Parameters (* required{legend}):"
    yield from lines
    if model.rules:
        yield "Rules:"
        yield from (f"  {_rule_text(rule, sources=sources)}" for rule in model.rules)
    if model.markers:
        yield f"In the prompt: {', '.join(model.markers)}"
    if model.follow_ups:
        yield f"Its tasks go on with: {', '.join(model.follow_ups)}"
    yield from (f"Note: {note}" for note in model.notes)
    yield f"Example: {json.dumps(dict(model.example), ensure_ascii=False)}"


def _mark(held: Parameter | Rule, *, sources: bool) -> str:
    """How hard a limit is held, and for people where it stands; "" where there is nothing to say."""
    if sources:
        return f"[{held.source}, {'refused' if held.hold == 'refuse' else 'warned of'}]"
    return WARNED if held.hold == "warn" else ""


def _rule_text(rule: Rule, *, sources: bool = False) -> str:
    mark = _mark(rule, sources=sources)
    return f"{rule.message} {'(advice)' if mark == WARNED else mark}".rstrip()


def advice(parameter: Parameter) -> str:
    """What a linked file should be like, in words."""
    return f"each best {', '.join(_fact(name, value) for name, value in parameter.item.items())}"


def _fact(name: str, value: object) -> str:
    if not isinstance(value, list | tuple):
        return f"{name} {words(value)}"
    many = [words(one) for one in cast(list[object], value)]
    return "/".join(many) if name == "formats" else f"{name} {'–'.join(many)}"


def _parameter_lines(parameter: Parameter, usual: str, indent: str, *, sources: bool) -> Iterator[str]:
    required = _required(parameter)
    parts = [f"required {required}"] if isinstance(required, str) else []
    parts += [choices(parameter)] if parameter.allowed or parameter.range or parameter.size else []
    parts += [f"like {parameter.pattern}"] if parameter.pattern else []
    for extent, unit in (("length", parameter.unit or "characters"), ("bytes", "bytes"), ("count", "items")):
        span: Span | None = getattr(parameter, extent)
        if span:
            soft = f" (warned of, {parameter.soft.get(extent)})" if sources else f" {WARNED}"
            parts.append(f"{between(span)} {unit}{soft if extent in parameter.soft else ''}")
    if parameter.tolerate and parameter.tolerate.allowed:
        more = [one for one in parameter.tolerate.allowed if one not in parameter.allowed]
        source = f" ({parameter.tolerate.source})" if sources else ""
        parts.append(f"{', '.join(map(words, more))} sent with a note{source}")
    if parameter.item:
        parts.append(advice(parameter))
    parts += [f"default {words(parameter.default)}"] if parameter.default is not None else []
    parts += [text for text in (parameter.note, parameter.caution) if text]
    star = "*" if required is True else ""
    about = f": {'; '.join(parts)}" if parts else ""
    mark = _mark(parameter, sources=sources)
    mark = f" {mark}" if mark and (mark != usual or not sources) else ""
    yield f"{indent}{parameter.name}{star} {' or '.join(parameter.types)}{about}{mark}"
    for inner in parameter.properties.values():
        yield from _parameter_lines(inner, usual, f"{indent}  ", sources=sources)
