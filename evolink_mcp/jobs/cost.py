"""What a call will cost: asked, learned or listed, in this order, and never made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import anyio

from evolink_mcp.gateway import Caller
from evolink_mcp.gateway.prices import ASK_SECONDS, Prices
from evolink_mcp.gateway.pricing import Range, Request, Rules
from evolink_mcp.jobs.ledger import Away
from evolink_mcp.jobs.spending import Billed, Charge, Spending

Source = Literal["quoted", "learned", "list price", "unknown"]
MAX_LEARNED = 6  # charges that a range rests on
COST_SECONDS = 8.0  # for all sources together


@dataclass(frozen=True)
class Priced:
    """A call as far as its price goes. Nothing of it is a prompt, a link or a name.

    Attributes:
        kind: image, video or audio.
        tier: The word that prices go by: the resolution, or else the quality.
    """

    billed: Billed
    kind: str
    request: Request = field(default_factory=Request)
    tier: str = ""


@dataclass(frozen=True)
class Cost:
    """What is known beforehand.

    Attributes:
        most: What must be there for it: above ``high`` where calls like this were held at more than they were charged.
        basis: Where it comes from, in a few words.
        words: The gateway's own words, where these are all there is.
    """

    source: Source
    low: float | None = None
    high: float | None = None
    most: float | None = None
    basis: str = ""
    words: str = ""


UNKNOWN = Cost("unknown", basis="no price is known")


class Costs:
    """Finds what calls cost. No source that fails, hangs or lies keeps a call from its answer."""

    def __init__(self, prices: Prices, spending: Spending) -> None:
        self._prices = prices
        self._spending = spending

    async def of(self, caller: Caller, call: Priced, *, seconds: float = COST_SECONDS) -> Cost:
        """The best that is known within ``seconds``."""
        costs: dict[Source, Cost] = {}
        with anyio.move_on_after(min(seconds, COST_SECONDS)):
            costs["learned"] = await self._learned(caller, call)
            rules = await self._prices.rules(call.billed.model)
            costs["list price"] = await self._listed(call, rules)
            costs["quoted"] = await self._quoted(caller, call, rules)
        known = [costs[source] for source in ("quoted", "learned", "list price") if source in costs]
        return next((each for each in known if each.high is not None), None) or next(
            (each for each in known if each.words), UNKNOWN
        )

    async def _quoted(self, caller: Caller, call: Priced, rules: Rules | None) -> Cost:
        operation = (rules.operation if rules else "") or f"{call.kind}_generation"
        parameters = rules.values(call.request) if rules and rules.parameters else call.request.params
        credits = await self._prices.estimate(caller, call.billed.model, operation, parameters, seconds=ASK_SECONDS)
        if credits is None:
            return UNKNOWN
        return Cost("quoted", credits, credits, credits, "the gateway's own estimate")

    async def _learned(self, caller: Caller, call: Priced) -> Cost:
        billed = call.billed
        try:
            charges = await self._spending.alike(caller.account, billed.model, billed.traits)
        except Away:
            return UNKNOWN
        same = [each for each in charges if (each.seconds, each.count) == (billed.seconds, billed.count)]
        if same:
            return _range_of(same[:MAX_LEARNED], f"your last {_calls(len(same[:MAX_LEARNED]))} like this")
        scaled = [each for charge in charges if (each := _scaled(charge, billed)) is not None][:MAX_LEARNED]
        if scaled:
            return _range_of(scaled, f"your last {_calls(len(scaled))} like this, scaled to its {_size(billed)}")
        return UNKNOWN

    async def _listed(self, call: Priced, rules: Rules | None) -> Cost:
        price = rules.price(call.request) if rules else None
        words = rules.words() if rules else ""
        if price is None:
            listed = (await self._prices.listed()).get(call.billed.model)
            if listed is not None:
                price = listed.price(call.tier, call.billed.seconds, call.billed.count)
                words = words or listed.words
        if price is None:
            return Cost("list price", basis="public list", words=words) if words else UNKNOWN
        return _listed_cost(price)


def _listed_cost(price: Range) -> Cost:
    return Cost("list price", price.low, price.high, price.high, "public list, without discounts of the account")


def _range_of(charges: Sequence[Charge], basis: str) -> Cost:
    amounts = [each.charged for each in charges]
    return Cost("learned", min(amounts), max(amounts), max(each.held for each in charges), basis)


def _scaled(charge: Charge, billed: Billed) -> Charge | None:
    """A charge as it would have been for the seconds and the count of another call; ``None`` where nothing tells."""
    if charge.count <= 0 or (charge.seconds is None) != (billed.seconds is None):
        return None
    factor = billed.count / charge.count
    if charge.seconds is not None and billed.seconds is not None:
        if charge.seconds <= 0:
            return None
        factor *= billed.seconds / charge.seconds
    return Charge(charge.charged * factor, charge.held * factor, billed.seconds, billed.count)


def _calls(number: int) -> str:
    return "call" if number == 1 else f"{number} calls"


def _size(billed: Billed) -> str:
    seconds = f"{billed.seconds:g} s" if billed.seconds is not None else ""
    count = f"n={billed.count}" if billed.count != 1 or not seconds else ""
    return " and ".join(part for part in (seconds, count) if part)
