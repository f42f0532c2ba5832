"""What models cost, as far as anybody knows: what this account was charged, and the public list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from evolink_mcp.guard.secrets import fingerprint
from evolink_mcp.tools.money import credits

if TYPE_CHECKING:
    from evolink_mcp.gateway.pricing import Listed
    from evolink_mcp.registry.spec import Model
    from evolink_mcp.tools.call import Call
    from evolink_mcp.tools.model_views import ModelsView

WAIT_SECONDS = 3.0  # for the list, where an order rests on it; otherwise it is there the next time
DEFAULT_SECONDS = 5.0  # of a film whose model does not say how long it is
EQUAL = "All of these cost the same, as far as is known: choose by what they do."
ORDER = "Cheapest first, by {basis} for one call with defaults; models without a known price come last."


class Price(NamedTuple):
    """The credits of one call with defaults, and what is said of them."""

    low: float
    text: str


@dataclass(frozen=True)
class ModelPrices:
    """The prices of models; a model without one is left out."""

    listed: Mapping[str, Listed]
    charged: Mapping[str, tuple[float, float]]

    def of(self, model: Model) -> Price | None:
        """What is known of one model."""
        if model.id in self.charged:
            low, high = self.charged[model.id]
            return Price(low, f"{_range(low, high)} credits per result so far")
        listed = self.listed.get(model.id)
        if listed is None:
            return None
        if listed.credits is None:
            return Price(float("inf"), listed.words) if listed.words else None
        seconds = model.parameters["duration"].default if "duration" in model.parameters else None
        price = listed.price("", float(seconds) if isinstance(seconds, int) and seconds > 0 else DEFAULT_SECONDS, 1)
        factors = [factor for _, factor in listed.tiers] or [1.0]
        text = _range(listed.credits.low * min(factors), listed.credits.high * max(factors))
        return Price(price.low if price else float("inf"), f"{text} credits per {listed.per} (list)")

    def lowest(self, models: Iterable[Model]) -> dict[str, tuple[float, float]]:
        """The credits of one call, by model, where they are known."""
        prices = ((model.id, self.of(model)) for model in models)
        return {name: (price.low, price.low) for name, price in prices if price and price.low < float("inf")}


async def with_prices(call: Call, view: ModelsView, *, cheap: bool) -> ModelsView:
    """The view with the prices that are known; the cheapest first, if that was asked for."""
    one = view.total == 1
    known = await read_prices(call, seconds=WAIT_SECONDS if cheap or one else 0.0)
    models = call.app.registry.models
    prices = {line.id: price for line in view.models if (price := known.of(models[line.id])) is not None}
    lines = [
        line.model_copy(update={"price": prices[line.id].text}) if line.id in prices else line for line in view.models
    ]
    notes = list(view.notes or [])
    if cheap:
        lines.sort(key=lambda line: prices[line.id].low if line.id in prices else float("inf"))
        basis = "what you were charged and the public list" if known.charged else "the public list"
        equal = len(prices) == len(lines) > 1 and len({price.low for price in prices.values()}) == 1
        notes.append(EQUAL if equal else ORDER.format(basis=basis))
    if not prices and not cheap:
        return view
    return view.model_copy(update={"models": lines, "notes": notes or None})


async def read_prices(call: Call, *, seconds: float) -> ModelPrices:
    """The prices that are known within ``seconds``. Nothing that fails here keeps a list from being shown."""
    from evolink_mcp.jobs.ledger import Away

    key = call.credential.key
    charged: Mapping[str, tuple[float, float]] = {}
    if key is not None:
        try:
            charged = await call.app.spending.models(fingerprint(key))
        except Away:
            pass
    return ModelPrices(await call.app.prices.listed(seconds=seconds), charged)


def _range(low: float, high: float) -> str:
    return credits(low) if low == high else f"{credits(low)}–{credits(high)}"
