"""A counter to buy at with the real tools: a gateway of a few turns of the loop, and calls that end at any await."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
from mcp_types import TextContent

from evolink_mcp.gateway import Transport
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.jobs.delivery import Listener, listening
from evolink_mcp.jobs.ledger import Ledger
from evolink_mcp.sdk.tool import StrictTool
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.tools.execution import execute
from evolink_mcp.tools.toolsets import build_offer
from tests.unit.shop import STEPS, turns

URL = "http://127.0.0.1:9"
PACKAGE = str(Path(execute.__code__.co_filename).parent.parent)
PAID_ID = re.compile(r"paid-\d+")
TOOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "media": ("generate_image", {}),
    "text": ("generate_text", {"model": "claude-sonnet-4-5-20250929"}),
}
PICTURE = bytes.fromhex("89504e470d0a1a0a") + b"0" * 64
NUMBERS = itertools.count()


class Counter:
    """What was paid for here, by id. ``answer``: how the first paid request is answered; those after it are created.

    ``results``: of tasks that are done as soon as they are read. ``steps``: turns until a paid request is taken.
    ``sent``: how many paid requests have left, ``answered``: how many have their answer.
    """

    def __init__(self, answer: str, results: tuple[str, ...] = (), *, steps: int = STEPS) -> None:
        self.answer = answer
        self._steps = steps
        self._results = results
        self.paid: list[str] = []
        self.sent = self.answered = self.most_in_flight = 0
        self.prompt = f"kite {next(NUMBERS)}"

    async def answer_to(self, request: httpx2.Request) -> httpx2.Response:
        if request.method != "POST":
            await turns(1)
            paid_id = request.url.path.rpartition("/")[2]
            return httpx2.Response(200, json=self._now(paid_id) if paid_id.startswith("paid") else {"data": []})
        await turns(STEPS)  # a connection
        if "/files/" in request.url.path:
            stored = {"file_id": "f1", "file_url": f"{URL}/{next(NUMBERS)}.png"}
            return httpx2.Response(200, json={"success": True, "code": 200, "data": stored})
        wire = SimpleNamespace(method=b"POST")
        await request.extensions["trace"]("http11.send_request_headers.started", {"request": wire})
        self.sent += 1
        self.most_in_flight = max(self.most_in_flight, self.sent - self.answered)
        try:
            return await self._sell(request)
        finally:
            self.answered += 1

    @property
    def phase(self) -> str:
        """How far the paid request is."""
        return ", paid" if self.paid else ", sent" if self.sent else ""

    async def _sell(self, request: httpx2.Request) -> httpx2.Response:
        await turns(self._steps)
        answer, self.answer = self.answer, "created"
        if answer == "free":
            return httpx2.Response(402, json={"error": {"message": "No.", "code": "402"}})
        self.paid.append(f"paid-{len(self.paid) + 1}")
        await turns(STEPS)
        if answer == "unknown":
            return httpx2.Response(500, json={"error": {"message": "Broken.", "code": self.paid[-1]}})
        if request.url.path.endswith("messages"):
            content = [{"type": "text", "text": self.paid[-1]}]
            usage = {"input_tokens": 1, "output_tokens": 1}
            words = {"content": content, "stop_reason": "end_turn", "usage": usage}
            return httpx2.Response(200, json={"id": "m", "type": "message", "role": "assistant", "model": "m", **words})
        return httpx2.Response(200, json=self._task(self.paid[-1]))

    def _now(self, task_id: str) -> dict[str, object]:
        done = {"status": "completed", "progress": 100, "results": list(self._results)} if self._results else {}
        return {**self._task(task_id), **done}

    def _task(self, task_id: str) -> dict[str, object]:
        return {"id": task_id, "status": "pending", "type": "image", "model": "m", "created": 1_800_000_000}


class Way(httpx2.AsyncBaseTransport):
    """What leads to the counter of the call under way."""

    counter: Counter

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self.counter.answer_to(request)


class QuickClock(SystemClock):
    """Sleeps take no time; they move it."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return super().now() + self._ahead

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        self._ahead += seconds
        await asyncio.sleep(0)


class Till:
    """One process of this server, with its tools. Without a ledger it is alone, and its sleeps take no time.

    ``more`` are settings.
    """

    def __init__(self, folder: Path | None = None, ledger: Ledger | None = None, **more: Any) -> None:
        settings = Settings(
            api_key="sk-test-0123456789",
            base_url=URL,
            files_url=URL,
            text_url=URL,
            toolsets=("media", "text"),
            output_dir=folder,
        )
        settings = replace(settings, **more)
        self.app = App(settings, ledger=ledger, clock=SystemClock() if ledger else QuickClock())
        self._way = Way()
        self.app.transport = Transport(URL, URL, over=self._way)  # once, for it reads the machine's certificates
        tools = [tool for each in build_offer(self.app).values() for tool in each]
        self.tools = {tool.name: cast("StrictTool", tool) for tool in tools}

    def call(self, counter: Counter, kind: str, *, settles: bool = False, **more: object) -> ToolCall:
        """A call with the counter's prompt; ``more`` are arguments. See :class:`ToolCall`."""
        self._way.counter = counter
        name, arguments = TOOLS[kind]
        waits = {"wait_seconds": 5} if kind == "media" and isinstance(self.app.clock, QuickClock) else {}
        arguments = {"prompt": counter.prompt, **arguments, **waits, **more}
        return ToolCall(self, counter, self.tools[name], arguments, settles=settles)

    async def idle(self) -> None:
        """Returns once nothing is bought and nothing written down."""
        while self.work:
            await asyncio.wait(list(self.work))

    @property
    def unclaimed(self) -> int:
        """How many answers wait for a repeat here."""
        return len(list(self.app.purchases._lines))  # pyright: ignore[reportPrivateUsage]

    @property
    def work(self) -> set[asyncio.Task[Any]]:
        purchases = self.app.purchases
        return {*purchases._work, *purchases._books._writes}  # pyright: ignore[reportPrivateUsage]


class ToolCall:
    """A call of a tool, as a transport runs it. ``heard``: the ids its client was told.

    ``settles``: as over HTTP, where a connection may end after the answer.
    """

    def __init__(
        self, till: Till, counter: Counter, tool: StrictTool, arguments: dict[str, Any], *, settles: bool
    ) -> None:
        self.listener = Listener("1", settle_seconds=60.0) if settles else Listener("1")
        self._settles = settles
        self.heard: set[str] = set()
        self._till = till
        self._counter = counter
        self.is_unknown = self.may_repeat = self.is_writing = False
        self._context = SimpleNamespace(
            request_context=SimpleNamespace(request=None),
            session=SimpleNamespace(client_params=None, protocol_version="2025-06-18"),
            report_progress=self._progress,
        )
        self.task = asyncio.create_task(self._serve(tool, dict(arguments)))

    async def _serve(self, tool: StrictTool, arguments: dict[str, Any]) -> None:
        with listening(self.listener):
            try:
                answer = await execute(self._till.app, tool, arguments, cast("Any", self._context), paid=True)
            except asyncio.CancelledError:
                self.listener.abandon()
                raise
            self.is_writing = True
            await turns(STEPS)  # the answer waits for the writer
            if not self.listener.abandoned:
                (text,) = (each for each in answer.content if isinstance(each, TextContent))
                self.heard = set(PAID_ID.findall(text.text))
                self.is_unknown = "Charged: unknown." in text.text
                self.may_repeat = "may repeat a request" in text.text
            self.listener.deliver(settles=self._settles)

    async def _progress(self, *_: object) -> None:
        await turns(1)

    @property
    def points(self) -> set[str]:
        """The awaits of this package at which the call and what it has set going wait now, and that of the writer, with
        how far the gateway is."""
        points = {*_points({self.task, *self._till.work}), *(["writer"] if self.is_writing else [])}
        return {f"{point}{self._counter.phase}" for point in points}

    async def walk(self) -> list[str]:
        """Goes on to its end: the awaits that it comes by, in order."""
        points = dict[str, None]()
        while not self.task.done():
            points |= dict.fromkeys(sorted(self.points))
            await asyncio.sleep(0)
        return list(points)

    async def reach(self, point: str) -> bool:
        """Goes on until it waits at a point; false where it is over before."""
        while not self.task.done():
            if point in self.points:
                return True
            await asyncio.sleep(0)
        return False

    async def leave(self, cancel: int, notice: int = 0) -> None:
        """The client goes away: the transport notices after some turns, and the SDK cancels after some more."""
        await turns(notice)
        self.listener.abandon()
        self.listener.disconnect()
        await turns(cancel)
        self.task.cancel()

    async def over(self) -> None:
        await asyncio.wait([self.task], timeout=20)
        assert self.task.done(), "the call hangs"


def _points(tasks: Collection[asyncio.Task[Any]]) -> Iterable[str]:
    for task in tasks:
        at: Any = task.get_coro()
        lines: list[str] = []
        while at is not None:
            frame = getattr(at, "cr_frame", None) or getattr(at, "ag_frame", None)
            if frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
                lines.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}:{frame.f_lineno}")
            if frame is not None and frame.f_code.co_name in ("__aenter__", "__aexit__"):
                at = getattr(frame.f_locals["self"], "gen", None)  # the block of a context manager goes on there
            else:
                at = getattr(at, "cr_await", None) or getattr(at, "ag_await", None)
        if lines:
            yield " > ".join(lines)
