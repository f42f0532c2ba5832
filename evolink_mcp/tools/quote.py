"""What a dry run answers: the request as it would be sent. Nothing was sent, and nothing paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from pydantic import BaseModel

from evolink_mcp.gateway.media import Media
from evolink_mcp.jobs.cost import Cost, Source
from evolink_mcp.media.inputs import LocalInputs
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.money import credits
from evolink_mcp.tools.views import View

MAX_TEXT_CHARACTERS = 80  # of a text of the request: its caller has it, and pays for every byte


class CostView(BaseModel):
    """What a call would cost, and where the figure comes from.

    Attributes:
        low_credits, high_credits: From the least to the most; without them nobody knows.
        basis: What the figure rests on.
        words: The gateway's own words, where these are all there is.
    """

    source: Source
    low_credits: float | None = None
    high_credits: float | None = None
    basis: str | None = None
    words: str | None = None

    def as_text(self) -> str:
        if self.low_credits is None or self.high_credits is None:
            return f"Cost: unknown beforehand; the public list says: {self.words}" if self.words else "Cost: unknown."
        low, high = credits(self.low_credits), credits(self.high_credits)
        amount = low if low == high else f"{low}–{high}"
        return f"Cost: {amount} credits ({self.source}: {self.basis})"


class QuoteView(View):
    """A request that was checked and not sent.

    Attributes:
        would_send: With its texts shortened, and local files by their names.
        defaults: What the model takes where nothing is sent.
    """

    status: Literal["not_sent"] = "not_sent"
    kind: str
    model: str
    would_send: dict[str, Any]
    defaults: dict[str, Any] | None = None
    cost: CostView
    charged: Literal["no"] = "no"
    notes: list[str] | None = None
    next_step: str

    def as_text(self) -> str:
        sent = ", ".join(f"{name}={value!r}" for name, value in self.would_send.items())
        lines = [f"Not sent: {self.kind} request of model {self.model}", f"Would send: {sent}"]
        if self.defaults:
            lines.append("Defaults: " + ", ".join(f"{name}={value!r}" for name, value in self.defaults.items()))
        lines += [self.cost.as_text(), "Charged: no."]
        lines += [f"Note: {note}" for note in self.notes or []]
        return "\n".join([*lines, f"Next: {self.next_step}"])


def quote(
    call: Call, kind: Media, request: Mapping[str, object], local: LocalInputs, notes: Sequence[str], cost: Cost
) -> QuoteView:
    """The answer to a dry run of a request that passed every check."""
    entry = call.app.registry.get(str(request["model"]))
    defaults = {name: each.default for name, each in entry.parameters.items()} if entry else {}
    defaults = {name: value for name, value in defaults.items() if value is not None and name not in request}
    params = {name: _shortened(value, local) for name, value in request.items() if name != "model"}
    return QuoteView(
        kind=kind,
        model=str(request["model"]),
        would_send=params,
        defaults=defaults or None,
        cost=CostView(
            source=cost.source,
            low_credits=_rounded(cost.low),
            high_credits=_rounded(cost.high),
            basis=cost.basis or None,
            words=cost.words or None,
        ),
        notes=list(notes) or None,
        next_step=f"Call generate_{kind} again without dry_run: that is paid.",
    )


def _rounded(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 4)


def _shortened(value: object, local: LocalInputs) -> object:
    match value:
        case str():
            text = local.name_files(value)
            return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]}…"
        case list():
            return [_shortened(part, local) for part in cast("list[object]", value)]
        case dict():
            return {name: _shortened(part, local) for name, part in cast("dict[str, object]", value).items()}
        case _:
            return value
