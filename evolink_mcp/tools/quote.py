"""What a dry run answers: the request as it would be sent. Nothing was sent, and nothing paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from evolink_mcp.gateway.media import Media
from evolink_mcp.media.inputs import LocalInputs
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.views import View

MAX_TEXT_CHARACTERS = 80  # of a text of the request: its caller has it, and pays for every byte


class QuoteView(View):
    """A request that was checked and not sent. ``would_send`` holds its texts shortened, local files by their names."""

    status: Literal["not_sent"] = "not_sent"
    kind: str
    model: str
    would_send: dict[str, Any]
    charged: Literal["no"] = "no"
    notes: list[str] | None = None
    next_step: str

    def as_text(self) -> str:
        sent = ", ".join(f"{name}={value!r}" for name, value in self.would_send.items())
        lines = [f"Not sent: {self.kind} request of model {self.model}", f"Would send: {sent}", "Charged: no."]
        lines += [f"Note: {note}" for note in self.notes or []]
        return "\n".join([*lines, f"Next: {self.next_step}"])


def quote(
    call: Call, kind: Media, request: Mapping[str, object], local: LocalInputs, notes: Sequence[str]
) -> QuoteView:
    """The answer to a dry run of a request that passed every check."""
    params = {name: _shortened(value, local) for name, value in request.items() if name != "model"}
    return QuoteView(
        kind=kind,
        model=str(request["model"]),
        would_send=params,
        notes=list(notes) or None,
        next_step=f"Call generate_{kind} again without dry_run: that is paid.",
    )


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
