"""Results that a server keeps for callers elsewhere, past the 24 hours of the gateway's links."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from evolink_mcp.errors import EvolinkError, GatewayError
from evolink_mcp.gateway import wire
from evolink_mcp.media import previews
from evolink_mcp.media.downloads import NotSaved, SaveOutcome
from evolink_mcp.tools.times import iso

if TYPE_CHECKING:
    from evolink_mcp.tools.call import Call
    from evolink_mcp.tools.views import TaskView

KEY_REFUSALS = frozenset({401, 403})  # statuses of a key that is not, or no longer, allowed
KEEP_SECONDS = 3.0  # of a call's time; what takes longer goes on behind it, and the gateway's link is good meanwhile


@dataclass(frozen=True)
class ResultCopy:
    """A kept result at its address.

    Attributes:
        number: Which result of its task it is, from 1.
        name: What its file is called.
        path: Where it lies on this machine, if it does.
        address_end: Until when the address works, in seconds since 1970.
        until: Until when the result is kept, in the same.
    """

    number: int
    name: str
    path: Path | None
    address: str
    address_end: float
    until: float


class Copies(Protocol):
    """What a transport keeps. ``request`` is the transport's; ``owner`` whose the tasks are."""

    async def keep(
        self, request: Any, owner: str, task: wire.Task, *, seconds: float, is_new: bool = False
    ) -> Sequence[ResultCopy | NotSaved]:
        """Keeps the results of a finished task: for each what is kept, or why nothing is after ``seconds``.

        ``is_new``: ``find`` has just found none of them.
        """
        ...

    async def find(self, request: Any, owner: str, task_ids: Sequence[str]) -> Mapping[str, Sequence[ResultCopy]]:
        """What is kept of some tasks, by task."""
        ...

    def open(self, owner: str, name: str, *, max_bytes: int) -> AbstractAsyncContextManager[BinaryIO]:
        """What is kept of an owner under a name, up to ``max_bytes`` at least. ``OSError``: it cannot be read."""
        ...


async def keep_copies(
    call: Call, task: wire.Task, *, seconds: float, is_new: bool = False
) -> Sequence[ResultCopy | NotSaved]:
    """Keeps the results of a finished task, where this server keeps any. ``is_new``: nothing is kept of it yet."""
    if call.app.copies is None or not task.results:
        return []
    return await call.app.copies.keep(
        call.request, call.caller.owner, task, seconds=min(seconds, KEEP_SECONDS), is_new=is_new
    )


async def find_copies(call: Call, task_ids: Sequence[str]) -> Mapping[str, Sequence[ResultCopy]]:
    """What is kept of some of the caller's tasks, by task."""
    if call.app.copies is None:
        return {}
    return await call.app.copies.find(call.request, call.caller.owner, task_ids)


@asynccontextmanager
async def open_copy(call: Call, task_id: str, number: int, *, max_bytes: int) -> AsyncGenerator[BinaryIO | None]:
    """The copy of a result of the caller's, at least ``max_bytes`` of it; ``None`` where none can be read."""
    async with AsyncExitStack() as stack:
        file: BinaryIO | None = None
        copies = (await find_copies(call, [task_id])).get(task_id, [])
        if call.app.copies is not None and (copy := next((each for each in copies if each.number == number), None)):
            with suppress(OSError):  # it is gone by now, or away
                opened = call.app.copies.open(call.caller.owner, copy.name, max_bytes=max_bytes)
                file = await stack.enter_async_context(opened)
        yield file


async def preview_of(call: Call, task_id: str, number: int, url: str, *, poster: bool = False) -> bytes:
    """A small picture of a result that is not saved here: of its copy, or of its link where none can be read.

    Raises:
        NoPreview: There is none, and why.
    """
    owner = call.caller.owner
    async with open_copy(call, task_id, number, max_bytes=previews.MAX_FETCH_BYTES) as file:
        if file is not None:
            return await previews.preview_file(file, poster=poster, owner=owner)
    return await previews.preview_link(call.app.fetcher, url, poster=poster, owner=owner)


def places_of(copies: Sequence[ResultCopy | NotSaved]) -> list[SaveOutcome]:
    """Where the results can be read on this machine."""
    elsewhere = NotSaved("its copy is on another machine")
    return [(each.path or elsewhere) if isinstance(each, ResultCopy) else each for each in copies]


def show_copies(view: TaskView, copies: Sequence[ResultCopy | NotSaved], now: float) -> None:
    """Writes into a view where its results are kept; one whose link has died is told by its copy alone."""
    notes: list[str] = []
    results = view.results or []
    for number, (result, each) in enumerate(zip(results, copies, strict=False), 1):
        if isinstance(each, NotSaved):
            notes.append(f"Result {number} has no copy{' yet' * each.in_progress}: {each}.")
            continue
        result.copy_url, result.copy_until = each.address, iso(each.until)
        if view.links_end <= now:
            result.url, result.expires_at = each.address, iso(each.address_end)
    view.notes = [*(view.notes or []), *notes] or None
    if ends := [each.until for each in copies if isinstance(each, ResultCopy)]:
        view.set_copies_end(min(ends), now)
    if results and all(result.copy_url for result in results):
        link = "" if view.links_end <= now else " As an input, pass the link of the result."
        view.next_step = f"Give the user the copy's link. It works for 24 h; later, check_task gives a new one.{link}"


async def with_copies(call: Call, task_id: str, error: EvolinkError) -> EvolinkError:
    """The error of a task that could not be read, with where its results are kept, if they are. A key that the gateway
    does not take is told nothing: it may have been withdrawn from whoever has it."""
    if call.app.copies is None or not isinstance(error, GatewayError) or error.status in KEY_REFUSALS:
        return error
    copies = (await find_copies(call, [task_id])).get(task_id)
    if not copies:
        return error
    addresses = ", ".join(each.address for each in copies)
    return error.replace(next_step=f"Its results are kept, so nothing is lost: {addresses} (24 h). {error.next_step}")
