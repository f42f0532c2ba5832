"""Views: what tools return, as structured content and as text.

Each is complete alone, because some hosts show an agent only one of the two. Absent facts are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self, TypeVar, cast

from mcp_types import ContentBlock, ImageContent, ResourceLink
from pydantic import BaseModel, PrivateAttr

from evolink_mcp.gateway.statuses import FINAL, Status
from evolink_mcp.guard.text import clean_text
from evolink_mcp.tools.money import money_line
from evolink_mcp.tools.times import dying, iso, with_distance

MAX_VALUE_CHARACTERS = 20_000  # of one value; longer than any link

V = TypeVar("V", bound="View")


class View(BaseModel):
    """A tool's answer. Its texts are single lines, but for the fields named in ``multiline``."""

    multiline: ClassVar[frozenset[str]] = frozenset()

    @property
    def takes_notes(self) -> bool:
        """Whether there is a place for notes."""
        return "notes" in type(self).model_fields

    def with_notes(self, notes: Sequence[str]) -> Self:
        """The view with more notes, if it has any at all."""
        if not notes or not self.takes_notes:
            return self
        return self.model_copy(update={"notes": [*(getattr(self, "notes", None) or []), *notes]})

    def as_text(self) -> str:
        """Everything an agent needs, one fact a line."""
        raise NotImplementedError

    def blocks(self, *, links: bool) -> Sequence[ContentBlock]:
        """Content beside the text. ``links``: with a resource_link for each result."""
        return ()


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


def size(count: int) -> str:
    """Bytes as a person reads them."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e3:.1f} kB" if count < 100_000 else f"{count / 1e6:.1f} MB"


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
    copy_url: str | None = None
    copy_until: str | None = None

    def as_text(self, number: int) -> str:
        facts = ", ".join(self._facts())
        line = f"Result {number}: {self.url}" + (f" ({facts})" if facts else "")
        if self.copy_url and self.copy_url != self.url:
            line += f"\nCopy: {self.copy_url}"
        return f"{line}\nSaved: {self.saved_path}" if self.saved_path else line

    def _facts(self) -> Iterator[str]:
        if self.mime_type:
            yield self.mime_type
        if self.width and self.height:
            yield f"{self.width}×{self.height}"
        if self.duration_seconds is not None:
            yield f"{self.duration_seconds:.4g} s"
        if self.frame_rate is not None:
            yield f"{self.frame_rate:.4g} fps"
        if self.has_audio is not None and self.kind != "audio":
            yield "with sound" if self.has_audio else "no sound"
        if self.has_alpha is not None:
            yield "transparent" if self.has_alpha else "opaque"
        if self.bytes is not None:
            yield size(self.bytes)


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
        credits_charged_today: By this server, in UTC, where that is more than this task.
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
    credits_charged_today: float | None = None
    credits_reserved: float | None = None
    estimated_seconds: int | None = None
    polling: PollingView | None = None
    error: FailureView | None = None
    notes: list[str] | None = None
    next_step: str

    _links_end: float = PrivateAttr(default=math.inf)
    _dying: str = PrivateAttr(default="")
    _copies_end: str = PrivateAttr(default="")
    _previews: list[ImageContent] = PrivateAttr(default_factory=list[ImageContent])
    _preview_problems: list[str] = PrivateAttr(default_factory=list[str])

    @property
    def previews(self) -> int:
        """How many results it shows."""
        return len(self._previews)

    @property
    def preview_problems(self) -> list[str]:
        """Why it does not show others that it was asked to show."""
        return self._preview_problems

    def set_end(self, moment: float, now: float) -> None:
        """When the links of its results die, seen from ``now``; both in seconds since 1970."""
        for result in self.results or []:
            result.expires_at = iso(moment)
        self._links_end, self._dying = moment, dying(moment, now)

    def set_copies_end(self, moment: float, now: float) -> None:
        """Until when the copies of its results are kept, seen from ``now``."""
        self._copies_end = with_distance(iso(moment), now)

    @property
    def links_end(self) -> float:
        """When the gateway's links die, in seconds since 1970."""
        return self._links_end

    def add_preview(self, picture: ImageContent) -> None:
        """Shows a small picture beside the text."""
        self._previews.append(picture)

    def as_text(self) -> str:
        what = f"{self.kind or 'media'} task {self.task_id}"
        progress = f", {self.progress} %" if self.progress is not None and self.status == "processing" else ""
        lines = [f"{what}: {self.status}{progress}" + (f" (model {self.model})" if self.model else "")]
        lines += self.asked_differs or []
        lines += [f"Prompt: {self.prompt}"] if self.prompt else []
        lines += [result.as_text(number) for number, result in enumerate(self.results or [], 1)]
        if self._dying and any(result.url != result.copy_url for result in self.results or []):
            lines.append(f"Links {self._dying}.")
        lines += [f"Copies are kept until {self._copies_end}."] if self._copies_end else []
        if self.error:
            again = "may be retried" if self.error.retryable else "do not retry unchanged"
            lines.append(f"Error: {self.error.message} [{self.error.code}] ({again})")
        final, today = self.status in FINAL, self.credits_charged_today
        lines.append(money_line(final=final, held=self.credits_reserved, charged=self.credits_charged, today=today))
        if self.estimated_seconds is not None:
            lines.append(f"Estimated time: {self.estimated_seconds} s in all")
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
