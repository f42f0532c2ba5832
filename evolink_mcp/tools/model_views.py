"""The view of list_models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, PrivateAttr

from evolink_mcp.tools.times import counted
from evolink_mcp.tools.views import View


class ModelLine(BaseModel):
    """One model in a list: ``facts`` to choose by, and what a wish finds and misses in it."""

    id: str
    kind: str
    description: str | None = None
    capabilities: list[str] | None = None
    facts: str | None = None
    why: str | None = None
    lacks: str | None = None
    beta: bool | None = None
    default: bool | None = None
    status: str | None = None
    price: str | None = None
    instead: str | None = None

    def as_text(self, *, with_price: bool = True) -> str:
        marks = ("default" if self.default else "", "beta" if self.beta else "", self.status)
        marked = "".join(f" [{mark}]" for mark in marks if mark)
        quick = "quick" in (self.facts or "").split(", ")  # says the same as the capability
        able = ", ".join(each for each in self.capabilities or () if not (quick and each == "fast"))
        about = " ".join(filter(None, [self.description, f"({able})" if able else ""]))
        told = {
            "": self.facts,
            "fits: ": self.why,
            "lacks: ": self.lacks,
            "instead: ": self.instead,
            "price: ": self.price if with_price else None,
        }
        more = [f"{label}{value}" for label, value in told.items() if value]
        text = "; ".join(filter(None, [about, *more]))
        return f"- {self.id}{marked}" + (f": {text}" if text else "")


class ModelsView(View):
    """Models in short, or one of them in full."""

    models: list[ModelLine]
    total: int
    all_fit: str | None = None
    parameters: dict[str, Any] | None = None
    rules: list[str] | None = None
    example: dict[str, Any] | None = None
    notes: list[str] | None = None
    next_step: str

    _full_text: str = PrivateAttr(default="")

    def set_full_text(self, text: str) -> None:
        """The text of a single model in full."""
        self._full_text = text

    def as_text(self) -> str:
        if self._full_text:
            price = f"Price: {self.models[0].price}\n" if self.models[0].price else ""
            return f"{self._full_text}\n{price}Next: {self.next_step}"
        prices = {model.price for model in self.models}
        equal = len(self.models) > 1 and len(prices) == 1 and None not in prices
        lines = [counted(self.total, "model")]
        lines += [f"All fit: {self.all_fit}"] if self.all_fit else []
        lines += [f"Price of each: {self.models[0].price}"] if equal else []
        kind = ""
        for model in self.models:
            if model.kind != kind:
                kind = model.kind
                lines.append(f"{kind}:")
            lines.append(model.as_text(with_price=not equal))
        lines += [f"Note: {note}" for note in self.notes or []]
        return "\n".join([*lines, f"Next: {self.next_step}"])
