"""One wait for a task on the sandbox, and what was reported meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.jobs.beats import Beats
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import Ask, LocalPolls, Note, Poll, Polls
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.waits import Waits
from tests.support import FakeClock, Sandbox

IMAGE = {"model": "gpt-image-2", "prompt": "a cat", "size": "1024x1024", "resolution": "1K"}


VIDEO = {"model": "seedance-2.0-text-to-video", "prompt": "a frog", "duration": 4, "quality": "480p"}


class Told:
    """What was reported, and when."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.values: list[float] = []
        self.messages: list[str] = []
        self.times: list[float] = []

    async def __call__(self, value: float, message: str) -> None:
        self.values.append(value)
        self.messages.append(message)
        self.times.append(self._clock.now())


async def started(caller: Caller, sandbox: Sandbox, kind: media.Media, seconds: float) -> wire.Task:
    """A task that takes ``seconds`` of the sandbox's time, and whose files are made already."""
    sandbox.configure(**{f"{kind}_seconds": seconds})
    return await media.create(caller, kind, IMAGE if kind == "image" else VIDEO, seconds=10)


def reads(sandbox: Sandbox, since: float) -> list[float]:
    """When the task was read, in seconds of the sandbox's clock after ``since``."""
    return [request["time"] - since for request in sandbox.requests("/v1/tasks/")]


class TimedPolls(LocalPolls):
    """Polls that note when they were made, by the clock of the test."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock.monotonic)
        self._clock = clock
        self.times: list[float] = []

    async def poll(self, asks: Sequence[Ask], *, seconds: float, note: Note) -> None:
        self.times.append(self._clock.monotonic())
        await super().poll(asks, seconds=seconds, note=note)


async def poll_times(caller: Caller, task: wire.Task, clock: FakeClock, seconds: float) -> list[float]:
    """When a task just created is polled during a wait, in seconds from the wait's beginning."""
    polls, began = TimedPolls(clock), clock.monotonic()
    await Waits(clock, Pauses(clock), polls=polls).wait_for(
        caller, task, seconds=seconds, progress=Progress(Told(clock))
    )
    assert clock.monotonic() - began == pytest.approx(seconds)
    return [each - began for each in polls.times]


async def waited(
    caller: Caller, task: wire.Task | str, clock: FakeClock, seconds: float
) -> tuple[wire.Task, Told, float]:
    told = Told(clock)
    before = clock.now()
    waits = Waits(clock, Pauses(clock))
    progress = Progress(told, clock.monotonic)
    async with Beats(waits.timetable).keep(progress):
        waited = await waits.wait_for(caller, task, seconds=seconds, progress=progress)
    return waited.task, told, clock.now() - before


async def poll(polls: Polls, caller: Caller, task_id: str, *, woken: bool = False) -> Poll:
    """One first poll of one task."""
    answers: list[Poll | GatewayError] = []
    ask = Ask(caller, task_id, first=True, woken=woken)
    await polls.poll([ask], seconds=9, note=lambda _, answer: answers.append(answer))
    (answer,) = answers
    if isinstance(answer, GatewayError):
        raise answer
    return answer
