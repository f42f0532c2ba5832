"""Views: what tools return, as structured content and as text.

Each is complete alone, because some hosts show an agent only one of the two. Absent facts are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Self, TypeVar, cast

from mcp_types import ContentBlock, ImageContent, ResourceLink
from pydantic import BaseModel, PrivateAttr

from evolink_mcp.gateway.statuses import Status
from evolink_mcp.guard.text import clean_text

# How our own lines begin. Foreign text of several lines must not hold one that begins so.
_LABELS = re.compile(r"(?im)^(?=\s*(?:charged|next|note|saved|error|request id|result \d+)\s*:)")

MAX_VALUE_CHARACTERS = 20_000  # of one value; longer than any link

V = TypeVar("V", bound="View")


class View(BaseModel):
    """A tool's answer. Its texts are single lines, but for the fields named in ``multiline``."""

    multiline: ClassVar[frozenset[str]] = frozenset()

    def with_notes(self, notes: Sequence[str]) -> Self:
        """The view with more notes, if it has any at all."""
        if not notes or "notes" not in type(self).model_fields:
            return self
        return self.model_copy(update={"notes": [*(getattr(self, "notes", None) or []), *notes]})

    def as_text(self) -> str:
        """Everything an agent needs, one fact a line."""
        raise NotImplementedError

    def blocks(self, *, links: bool) -> Sequence[ContentBlock]:
        """Content beside the text. ``links``: with a resource_link for each result."""
        return ()


def quote_labels(text: str) -> str:
    """Text of several lines, in which lines that look like ours are quoted."""
    return _LABELS.sub("> ", clean_text(text))


def flat(view: V) -> V:
    """The view with every text on one line, whatever a gateway put into it."""
    return view.model_copy(
        update={name: _flat(part) for name, part in view if name not in view.multiline and part is not None}
    )


def _flat(value: object) -> object:
    match value:
        case str():
            text = value if len(value) <= MAX_VALUE_CHARACTERS else f"{value[:MAX_VALUE_CHARACTERS]}…"
            return clean_text(text).replace("\n", " ").replace("\t", " ")
        case list():
            return [_flat(part) for part in cast("list[object]", value)]
        case dict():
            return {_flat(name): _flat(part) for name, part in cast("dict[object, object]", value).items()}
        case BaseModel():
            return value.model_copy(update={name: _flat(part) for name, part in value})
        case _:
            return value


def credits(number: float) -> str:
    """Credits as a person reads them: every digit before the point, up to four behind it."""
    return f"{number:,.4f}".rstrip("0").rstrip(".")


class ResultView(BaseModel):
    """One finished file. Its facts are measured; what is unknown is left out."""

    url: str
    kind: str | None = None
    mime_type: str | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    frame_rate: float | None = None
    has_audio: bool | None = None
    has_alpha: bool | None = None
    bytes: int | None = None
    expires_at: str | None = None
    saved_path: str | None = None

    def as_text(self, number: int) -> str:
        facts = [self.mime_type, f"link dies at {self.expires_at}" if self.expires_at else None]
        line = f"Result {number}: {self.url} ({', '.join(fact for fact in facts if fact)})"
        return f"{line}\nSaved: {self.saved_path}" if self.saved_path else line


class PollingView(BaseModel):
    first_after_seconds: float
    interval_seconds: float
    give_up_after_seconds: float


class FailureView(BaseModel):
    code: str
    message: str
    retryable: bool
    resolution: str


class TaskView(View):
    """A task and its status.

    Attributes:
        prompt: The first words of the prompt, where they are known here.
        asked_differs: Where a result is not what was asked for, one sentence each.
        credits_held: Of a running task.
        credits_charged: Of a task that has ended, where the gateway tells.
        credits_reserved: The name of ``credits_held`` until the next release.
    """

    task_id: str
    kind: str | None = None
    model: str | None = None
    status: Status
    progress: int | None = None
    prompt: str | None = None
    results: list[ResultView] | None = None
    asked_differs: list[str] | None = None
    credits_held: float | None = None
    credits_charged: float | None = None
    credits_reserved: float | None = None
    estimated_seconds: int | None = None
    polling: PollingView | None = None
    error: FailureView | None = None
    notes: list[str] | None = None
    next_step: str

    _previews: list[ImageContent] = PrivateAttr(default_factory=list[ImageContent])

    def add_preview(self, picture: ImageContent) -> None:
        """Shows a small picture beside the text."""
        self._previews.append(picture)

    def as_text(self) -> str:
        what = f"{self.kind or 'media'} task {self.task_id}"
        progress = f", {self.progress} %" if self.progress is not None and self.status == "processing" else ""
        lines = [f"{what}: {self.status}{progress}" + (f" (model {self.model})" if self.model else "")]
        lines += [result.as_text(number) for number, result in enumerate(self.results or [], 1)]
        if self.error:
            again = "may be retried" if self.error.retryable else "do not retry unchanged"
            lines.append(f"Error: {self.error.message} [{self.error.code}] ({again})")
        if self.credits_reserved is not None:
            lines.append(f"Credits reserved: {credits(self.credits_reserved)}")
        if self.estimated_seconds is not None:
            lines.append(f"Estimated time: {self.estimated_seconds} s in all")
        if self.polling:
            lines.append(
                f"Polling: first after {self.polling.first_after_seconds:g} s, then every "
                f"{self.polling.interval_seconds:g} s, for {self.polling.give_up_after_seconds / 60:g} min"
            )
        lines += [f"Note: {note}" for note in self.notes or []]
        return "\n".join([*lines, f"Next: {self.next_step}"])

    def blocks(self, *, links: bool) -> Sequence[ContentBlock]:
        resources = [
            ResourceLink(
                type="resource_link",
                uri=result.url,
                name=f"{self.task_id}-{number}",
                mime_type=result.mime_type,
                description=f"Link dies at {result.expires_at}" if result.expires_at else None,
            )
            for number, result in enumerate(self.results or [], 1)
        ]
        return [*(resources if links else ()), *self._previews]
