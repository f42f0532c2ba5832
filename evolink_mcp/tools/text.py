"""generate_text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import anyio
from pydantic import BaseModel, ConfigDict, Field

from evolink_mcp.errors import Refused
from evolink_mcp.gateway.text import Message
from evolink_mcp.guard.aside import aside
from evolink_mcp.jobs.deadlines import SUBMIT_SECONDS
from evolink_mcp.jobs.ledger import Key
from evolink_mcp.jobs.texts import TextOrder
from evolink_mcp.sdk.arguments import LongText
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.labels import quote_labels
from evolink_mcp.tools.notes import bought_notes
from evolink_mcp.tools.problems import check_sendable
from evolink_mcp.tools.views import View

DEFAULT_MAX_TOKENS = 1024
MORE_ROOM = (
    "The text is incomplete. Call again with a higher max_tokens to get all of it, or with messages that end in this "
    "text and ask for the rest. Either call is charged."
)
# What stopped a text: whether it is cut (None: unknown), a note, and the next step.
STOPS: dict[str, tuple[bool | None, str, str]] = {
    "max_tokens": (True, "The text was cut at max_tokens ({max_tokens}); it is not complete.", MORE_ROOM),
    "model_context_window_exceeded": (
        True,
        "The text was cut because conversation and text fill the model's context window; it is not complete.",
        "The text is incomplete. For the rest, call again with a shorter conversation; that is charged.",
    ),
    "refusal": (
        True,
        "The model refused to write this or to continue; the answer is not complete.",
        "Tell the user that the model refused. The same request would be charged and probably refused again; "
        "another wording or model may help.",
    ),
    "": (
        None,
        "The gateway did not say why the text ended; it may be incomplete.",
        "Check that the text is complete before you use it. Calling again is charged.",
    ),
}
REPEATED = (
    "This is the text of your previous, identical request, whose answer may not have reached you. "
    "Nothing new was paid for. For another text, wait a second and call again."
)


INSTRUCTIONS = {
    "generate_text": """\
generate_text writes text and spends credits on every call: prefer your own words, unless the user asks for it. If a \
text is not done in time, call again with the same arguments: that is not paid for twice.\
"""
}


class Turn(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant"]
    content: str


class UsageView(BaseModel):
    input_tokens: int | None = None
    output_tokens: int | None = None


class TextView(View):
    """A text, or the news that it is still being written."""

    multiline = frozenset({"text"})

    status: Literal["completed", "processing"]
    model: str
    text: str | None = None
    stop_reason: str | None = None
    truncated: bool | None = None
    usage: UsageView | None = None
    notes: list[str] | None = None
    next_step: str

    def as_text(self) -> str:
        facts = [self.model, f"stop reason {self.stop_reason}" if self.stop_reason else ""]
        if self.usage:
            tokens = {"in": self.usage.input_tokens, "out": self.usage.output_tokens}
            facts += [f"{count} tokens {way}" for way, count in tokens.items() if count is not None]
        lines = [f"Text {self.status} ({', '.join(fact for fact in facts if fact)})"]
        lines += [quote_labels(self.text)] if self.text is not None else []
        lines += [f"Note: {note}" for note in self.notes or []]
        return "\n".join([*lines, f"Next: {self.next_step}"])


@tool(
    "text",
    title="Generate text (paid)",
    description="""\
Writes text with another language model. PAID by tokens: prefer your own words, unless the user asks for this tool.

If status is processing, call again with the same arguments: that is not charged twice.\
""",
    read_only=False,
    idempotent=False,
    paid=True,
)
async def generate_text(
    call: Call,
    prompt: Annotated[str | None, LongText, Field(description="What to write; or give messages.")] = None,
    messages: Annotated[
        list[Turn] | None, LongText, Field(description="A conversation, oldest turn first, instead of prompt.")
    ] = None,
    system: Annotated[str | None, LongText, Field(description="Instructions above the conversation.")] = None,
    model: Annotated[str | None, Field(description="A text model; else the default.")] = None,
    max_tokens: Annotated[int, Field(ge=1, description="Most tokens to write, from 1.")] = (DEFAULT_MAX_TOKENS),
    temperature: Annotated[float | None, Field(ge=0, le=2, description="How freely to choose words, 0–2.")] = None,
    stop_sequences: Annotated[list[str] | None, Field(description="Strings that end the text.")] = None,
) -> TextView:
    turns = [{"role": turn.role, "content": turn.content} for turn in messages or []]
    if (prompt is None) == (not turns):
        raise Refused(
            "Exactly one of prompt and messages is needed, and not empty.",
            code="invalid_arguments",
            next_step="Give the question as prompt, or the whole conversation as messages.",
        )
    if prompt is not None and not prompt.strip():
        raise Refused(
            "prompt is blank.", code="invalid_arguments", next_step="Say in prompt what to write, and call again."
        )
    body: dict[str, object] = {
        "model": model or call.app.default_model("text"),
        "max_tokens": max_tokens,
        "messages": turns or [{"role": "user", "content": prompt}],
    }
    optional = {"system": system, "temperature": temperature, "stop_sequences": stop_sequences}
    body |= {name: value for name, value in optional.items() if value is not None}
    order = TextOrder(call.caller, body)
    length = sum(map(len, [prompt or "", system or "", *(turn.content for turn in messages or [])]))
    await aside(length, partial(_prepare, order))
    return await _write(call, order, max_tokens)


def _prepare(order: TextOrder) -> Key:
    """What takes long for a long text: whether it can be sent, and what it is known by from then on."""
    check_sendable(order.body)
    return order.key


async def _write(call: Call, order: TextOrder, max_tokens: int) -> TextView:
    model = order.model
    call.app.purse.check_text()

    with anyio.move_on_after(call.remaining(SUBMIT_SECONDS)):
        call.progress.describe("sending")
        async with call.app.purchases.buy(order, on_growth=partial(call.progress.grow, most=max_tokens)) as bought:
            await call.progress.done()
            return _view(bought.product, model, max_tokens, bought_notes(bought, REPEATED))
    return TextView(
        status="processing",
        model=model,
        notes=["The text is still being written. It is charged once it is complete."],
        next_step="Call generate_text again within ten minutes, with exactly the same arguments: it waits for this "
        "text and is not charged again while this server keeps running. After a restart, or with other arguments, it "
        "is a new text and another charge.",
    )


def _view(message: Message, model: str, max_tokens: int, notes: Sequence[str]) -> TextView:
    all_notes = list(notes)
    truncated, note, next_step = STOPS.get(
        message.stop_reason, (False, "", "Give the user the text, or continue with it.")
    )
    all_notes += [note.format(max_tokens=max_tokens)] if note else []
    if message.stop_sequence:
        all_notes.append(f"It ended at the stop sequence {message.stop_sequence!r}.")
    if message.other:
        all_notes.append(f"Content that is not text was left out of the answer: {', '.join(message.other)}.")
    usage = UsageView(input_tokens=message.input_tokens, output_tokens=message.output_tokens)
    return TextView(
        status="completed",
        model=message.model or model,
        text=message.text,
        stop_reason=message.stop_reason or None,
        truncated=truncated,
        usage=usage if usage.model_dump(exclude_none=True) else None,
        notes=all_notes or None,
        next_step=next_step,
    )
