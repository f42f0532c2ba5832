"""Public prices as the gateway words them: pricing rules of one model, and rows of the price list.

Both are known from public clients only, so nothing here is sure to exist, or to keep its shape. Everything is read as
"this, if it is what it should be, else absent", and bounded in size, depth and number. No price stands in this code:
a figure is the gateway's, or there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evolink_mcp.gateway.expressions import MAX_NODES, Unclear, Value, as_float, work_out
from evolink_mcp.gateway.values import as_line, as_list, as_number, as_object, as_text

CREDITS_PER_CNY = 10  # the unit, not a price: 10,000 UC are a credit and 100,000 UC are 1 CNY (public rules, 2026-10)
MAX_PARTS = 200  # components, tiers and parameters of one model
MAX_ROWS = 5_000
MAX_WORDS = 200
MAX_NAME = 100

# What a rule calls a parameter, and what calls name it.
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "duration_seconds": ("duration",),
    "output_seconds": ("duration",),
    "image_count": ("n",),
    "video_count": ("n",),
    "count": ("n",),
    "quality": ("resolution",),
    "resolution": ("quality",),
    "output_tier": ("resolution", "quality", "size"),
    "billing_tier": ("resolution", "quality", "size"),
}
# How a bare amount of the price list is multiplied.
_PER: Mapping[str, str] = {"per_image": "image", "per_second": "second", "per_call": "call"}


@dataclass(frozen=True)
class Range:
    """Credits, from the least to the most."""

    low: float
    high: float


@dataclass(frozen=True)
class Request:
    """A call as its price goes: numbers, switches and words of a list, and how many files of each kind it brings.

    ``defaults`` are what the model takes where nothing is sent.
    """

    params: Mapping[str, object] = field(default_factory=dict[str, object])
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    inputs: Mapping[str, int] = field(default_factory=dict[str, int])

    def find(self, values: Mapping[str, object], name: str) -> object:
        """The value that rules call ``name``; ``None`` where there is none."""
        return next((values[each] for each in (name, *_SPELLINGS.get(name, ())) if each in values), None)


@dataclass(frozen=True)
class Rules:
    """The pricing rules of one model. ``operation`` is what the gateway calls its work."""

    operation: str
    by_usage: bool
    parameters: tuple[Mapping[str, Any], ...]
    components: tuple[Mapping[str, Any], ...]

    def values(self, request: Request) -> dict[str, Value]:
        """What the rules know a call by: its parameters under the rules' names, where they are known beforehand.

        What a call leaves out is as the rules have it, and else as the model's page does.
        """
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            name = as_line(parameter.get("name"), MAX_NAME)
            value = request.find(request.params, name)
            if value is None:
                value = request.inputs.get(name)
            if value is None and not _is_measured(name, request.inputs):
                value = parameter.get("default", request.find(request.defaults, name))
            if (scalar := _scalar(value, parameter)) is not None:
                values[name] = scalar
        return values

    def price(self, request: Request) -> Range | None:
        """What a call costs by these rules; ``None`` where they do not tell beforehand."""
        if self.by_usage or not self.components:
            return None
        values, total, nodes = self.values(request), 0.0, [MAX_NODES]
        try:
            for component in self.components:
                total += _charge(component, values, nodes)
        except (Unclear, ArithmeticError, ValueError):
            return None
        return Range(total, total) if math.isfinite(total) and total > 0 else None

    def words(self) -> str:
        """The rates, as the gateway names them."""
        rates = [
            f"{as_line(each.get('role'), 40)} {rate:.4g} credits per {as_line(each.get('unit'), 40)}"
            for each in self.components
            if (rate := _credits(each.get("rate")))
        ]
        return one_sentence(rates)


@dataclass(frozen=True)
class Listed:
    """One model in the price list: credits by ``per``, or only what the gateway says in ``words``."""

    per: str = ""
    credits: Range | None = None
    tiers: tuple[tuple[str, float], ...] = ()
    words: str = ""

    def price(self, tier: str, seconds: float | None, count: int) -> Range | None:
        """What a call costs by the list; ``None`` where the list does not tell beforehand."""
        times = {"image": count, "second": seconds, "call": 1}.get(self.per)
        if self.credits is None or times is None:
            return None
        factors = [factor for name, factor in self.tiers if name.lower() == tier.lower()] or [
            factor for _, factor in self.tiers
        ]
        low, high = min(factors, default=1.0), max(factors, default=1.0)
        return Range(self.credits.low * times * low, self.credits.high * times * high)


def parse_rules(body: object) -> Rules | None:
    """The rules in the answer for one model; ``None`` where there are none that can be used."""
    model = as_object(as_object(body).get("model"))
    components = tuple(as_object(each) for each in as_list(model.get("components"))[:MAX_PARTS] if as_object(each))
    if not components or model.get("pricing_status", "available") != "available":
        return None
    return Rules(
        operation=as_line(model.get("operation"), 50),
        by_usage=model.get("settlement_basis") == "actual_usage",
        parameters=tuple(as_object(each) for each in as_list(model.get("parameters"))[:MAX_PARTS]),
        components=components,
    )


def parse_list(body: object) -> dict[str, Listed]:
    """The price list by model, its rows put together; empty where it is none."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in map(as_object, as_list(as_object(body).get("data"))[:MAX_ROWS]):
        if name := as_line(row.get("model_name"), MAX_NAME):
            rows.setdefault(name, []).append(row)
    return {name: _listed(each[:MAX_PARTS]) for name, each in rows.items()}


def one_sentence(parts: Iterable[str]) -> str:
    """Words of the gateway, each once and not too many."""
    return as_line("; ".join(dict.fromkeys(part for part in parts if part)), MAX_WORDS)


def _listed(rows: Sequence[Mapping[str, Any]]) -> Listed:
    outputs = [row for row in rows if "input" not in as_text(row.get("metadata")).lower()] or list(rows)
    words = one_sentence(as_line(row.get("routing_note"), MAX_WORDS) for row in outputs)
    units = {_PER.get(as_text(row.get("billing_rule")), "") for row in outputs}
    amounts = [price * CREDITS_PER_CNY for row in outputs if (price := _positive(row.get("cny_price"))) is not None]
    if len(units) != 1 or "" in units or len(amounts) != len(outputs):
        return Listed(words=words)
    factors = as_object(outputs[0].get("resolution_multipliers") if len(outputs) == 1 else None)
    tiers = [(as_line(name, 40), factor) for name, value in factors.items() if (factor := _positive(value)) is not None]
    return Listed(units.pop(), Range(min(amounts), max(amounts)), tuple(tiers[:MAX_PARTS]), words)


def _is_measured(name: str, inputs: Mapping[str, int]) -> bool:
    """Whether only the finished work tells a value: tokens always, lengths of inputs where there are any."""
    if "input" in name and name.endswith("seconds"):
        return any(inputs.get(each) for each in ("input_videos", "input_audios"))
    return name.endswith("tokens")


def _scalar(value: object, parameter: Mapping[str, Any]) -> Value | None:
    """A value as the rules write it: words in the rules' own case, numbers as numbers."""
    if isinstance(value, bool):
        return value
    for allowed in as_list(parameter.get("values")) or as_list(parameter.get("enum")):
        if as_text(allowed).lower() == as_text(value).lower() != "":
            return allowed
    if as_list(parameter.get("values")) or as_list(parameter.get("enum")):
        return None
    number = as_number(value)
    return number if number is not None else (value if isinstance(value, str) else None)


def _charge(component: Mapping[str, Any], values: Mapping[str, Value], nodes: list[int]) -> float:
    """What one component of the rules charges."""
    if "condition" in component and not _true(component["condition"], values, nodes):
        return 0.0
    tiers = [as_object(each) for each in as_list(component.get("tiers"))[:MAX_PARTS]]
    tier = next((each for each in tiers if "when" in each and _true(each["when"], values, nodes)), component)
    rate, quantity = _credits(tier.get("rate")), _number(component.get("quantity_rule"), values, nodes)
    if rate is None or quantity < 0:
        raise Unclear
    return max(rate * quantity, _credits(tier.get("minimum_charge")) or 0.0)


def _true(rule: object, values: Mapping[str, Value], nodes: list[int]) -> bool:
    answer = work_out(rule, values, nodes)
    if not isinstance(answer, bool):
        raise Unclear
    return answer


def _number(rule: object, values: Mapping[str, Value], nodes: list[int]) -> float:
    return as_float(work_out(rule, values, nodes))


def _credits(amount: object) -> float | None:
    """The credits of an amount ``{uc, credits, cny, usd}``."""
    number = as_number(as_object(amount).get("credits"))
    return number if number is not None and number >= 0 else None


def _positive(value: object) -> float | None:
    number = as_number(value)
    return number if number is not None and number > 0 else None
