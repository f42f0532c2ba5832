"""What a paid call is billed by, what is known of its cost, and whether a limit has room for it: before it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from evolink_mcp.gateway.media import Media
from evolink_mcp.gateway.pricing import Request
from evolink_mcp.gateway.values import as_number
from evolink_mcp.jobs.cost import Cost, Priced
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.spending import Billed
from evolink_mcp.tools.call import Call

if TYPE_CHECKING:
    from evolink_mcp.registry import Registry
    from evolink_mcp.registry.spec import Parameter

TIERS = ("resolution", "quality")  # how models name what their price goes by, first of all
SOUNDS = ("generate_audio", "sound")
INPUTS = ("image", "video", "audio")  # kinds of input files, as their parameters are called
_PIXELS = re.compile(r"\d+[x*]\d+", re.IGNORECASE)


class Spend(NamedTuple):
    """A call on its way to the till."""

    billed: Billed
    cost: Cost | None


async def spend_of(call: Call, kind: Media, model: str, params: Mapping[str, object], *, ask: bool) -> Spend:
    """What a call would be billed by, and what is known of its cost where somebody has to know.

    Args:
        ask: For a call that is not sent: find out what it costs, and what the limits say. One that is sent meets them
            when it is: whoever repeats a request whose answer got lost pays nothing, and needs no room.

    Raises:
        Refused: A limit has no room for it.
    """
    purse = call.app.purse
    priced = price_facts(call.app.registry, kind, model, params)
    cost = None
    if ask or purse.limits:
        with suppress(Away):
            await purse.catch_up()
        cost = await call.app.costs.of(call.caller, priced)
    if ask:
        await purse.check(call.caller, priced.billed, cost)
    return Spend(priced.billed, cost)


def price_facts(registry: Registry, kind: Media, model: str, params: Mapping[str, object]) -> Priced:
    """A call as far as its price goes: no prompt, no link, nothing that its caller made up."""
    entry = registry.get(model)
    declared: Mapping[str, Parameter] = entry.parameters if entry else {}
    links = registry.link_names(model)
    defaults = {name: each.default for name, each in declared.items() if each.default is not None}
    values = defaults | dict(params)
    closed = {name: value for name, value in values.items() if name not in links and _closed(value, declared.get(name))}
    inputs = {
        f"input_{kind}s": sum(_count(params[name]) for name in links & params.keys() if kind in name) for kind in INPUTS
    }
    seconds, count = as_number(closed.get("duration")), as_number(closed.get("n"))
    tier = next((str(closed[name]) for name in TIERS if name in closed), "")
    size = str(values.get("size", ""))
    traits = {
        "tier": [str(closed[name]).lower() for name in TIERS if name in closed],
        "size": size.lower() if _PIXELS.fullmatch(size) else "",
        "sound": [str(closed[name]).lower() for name in SOUNDS if name in closed],
        "inputs": [name for name, number in inputs.items() if number],
    }
    billed = Billed(
        entry.id if entry else model,
        json.dumps({name: trait for name, trait in traits.items() if trait}, separators=(",", ":")),
        seconds if seconds is not None and seconds > 0 else None,
        max(int(count), 1) if count is not None else 1,
    )
    asked = {name: value for name, value in closed.items() if name in params}
    request = Request(asked, {name: value for name, value in closed.items() if name not in params}, inputs)
    return Priced(billed, kind, request, tier or (size if _PIXELS.fullmatch(size) else ""))


def _closed(value: object, parameter: Parameter | None) -> bool:
    """Whether a value is a number, a switch or a word of a list."""
    if isinstance(value, bool | int | float):
        return True
    allowed = parameter.allowed if parameter is not None else ()
    return isinstance(value, str) and value.lower() in {str(each).lower() for each in allowed}


def _count(value: object) -> int:
    return len(cast("list[object]", value)) if isinstance(value, list) else int(bool(value))
