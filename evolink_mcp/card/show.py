"""show_task: what a card asks for while it is shown. Models never see this tool."""

from __future__ import annotations

import base64
from collections import OrderedDict
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import urlsplit

import anyio
from mcp_types import ContentBlock, ImageContent
from pydantic import Field, PrivateAttr

from evolink_mcp.card import DOMAIN
from evolink_mcp.media import previews
from evolink_mcp.settings import Settings
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.copies import preview_of
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.media import check_task
from evolink_mcp.tools.views import ResultView, TaskView, View

PICTURE_SECONDS = 40.0
MAX_PICTURES = 32  # kept for cards that are shown again, 100 kB each at most

_pictures: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()


class CardView(View):
    """A task for its card.

    Attributes:
        links: For each result the link that may be opened from the card; empty where it leads elsewhere.
        why: Why there is no picture.
    """

    task: TaskView
    links: list[str]
    why: str | None = None

    _picture: ImageContent | None = PrivateAttr(default=None)

    def set_picture(self, jpeg: bytes) -> None:
        """Sends a small picture along."""
        data = base64.b64encode(jpeg).decode("ascii")
        self._picture = ImageContent(type="image", data=data, mime_type="image/jpeg")

    def as_text(self) -> str:
        return self.why or f"{self.task.task_id}: {self.task.status}"

    def blocks(self, *, links: bool) -> list[ContentBlock]:
        return [self._picture] if self._picture is not None else []


@tool(
    "media",
    title="Show task",
    description="The status of a task and a picture of it, for the card. Free.",
    read_only=True,
    idempotent=True,
)
async def show_task(
    call: Call,
    task_id: Annotated[str, Field(description="The task.")],
    picture: Annotated[int, Field(ge=0, description="The result to show a picture of, from 1.")] = 0,
) -> CardView:
    view = cast("TaskView", await check_task.function(call, task_id, wait_seconds=0))
    results = view.results or []
    card = CardView(task=view, links=[_link(result, call.app.settings) for result in results])
    if 0 < picture <= len(results):
        try:
            card.set_picture(await _picture(call, view, picture))
        except previews.NoPreview as reason:
            card.why = str(reason)
    return card


def _link(result: ResultView, settings: Settings) -> str:
    """What a result is opened by: its link, or once that has died the address at which this server keeps it."""
    return result.url if result.url == result.copy_url else safe_link(result.url, settings)


def safe_link(url: str, settings: Settings) -> str:
    """``url`` if it leads to EvoLink, or to the gateway that this server is set to; else nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.username or parts.password or parts.scheme not in ("https", "http"):
        return ""
    host = parts.hostname or ""
    own = {urlsplit(gateway)[:2] for gateway in (settings.base_url, settings.files_url)}
    evolink = parts.scheme == "https" and port is None and (host == DOMAIN or host.endswith(f".{DOMAIN}"))
    return url if evolink or (parts.scheme, parts.netloc) in own else ""


async def _picture(call: Call, view: TaskView, number: int) -> bytes:
    """The small picture of a result. It is kept for a while: each card of a task asks anew.

    Raises:
        NoPreview: There is none, and why.
    """
    key = (call.caller.owner, view.task_id, number)
    if key not in _pictures:
        result = (view.results or [])[number - 1]
        jpeg = await _make(call, view, result, number)
        _pictures[key] = jpeg
        while len(_pictures) > MAX_PICTURES:
            _pictures.popitem(last=False)
    _pictures.move_to_end(key)
    return _pictures[key]


async def _make(call: Call, view: TaskView, result: ResultView, number: int) -> bytes:
    with anyio.move_on_after(PICTURE_SECONDS):
        if result.saved_path:
            return await previews.preview(Path(result.saved_path), poster=True)
        return await preview_of(call, view.task_id, number, result.url, poster=True)
    raise previews.NoPreview("No preview: there was no time for it.")
