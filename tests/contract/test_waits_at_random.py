"""Whatever a gateway's batch read does, every wait is told of its task at the pace, or ends in its time."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from typing import Any

import anyio
import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, Transport, wire
from evolink_mcp.jobs.gathering import GATHER_SECONDS
from evolink_mcp.jobs.pace import IMAGE_PACE
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.schedule import MAX_FAILURES
from evolink_mcp.jobs.timetable import TICK_SECONDS
from evolink_mcp.jobs.waits import Outcome, Waits
from tests.support import KEY, FakeClock

TROUBLES = ("none", "404", "503", "429", "shape", "omit", "bare", "break", "stranger")


class Moody:
    """A gateway whose tasks end when they must and whose batch read has a trouble of its own each time."""

    def __init__(self, clock: FakeClock, ends: dict[str, float], seed: int) -> None:
        self._clock, self._ends, self._random = clock, ends, random.Random(seed)
        self.keys: dict[str, set[str]] = {}
        self.transport = Transport("https://a.test", "https://f.test", over=httpx2.MockTransport(self._answer))

    def _task(self, ident: str) -> dict[str, Any]:
        task = {"id": ident, "type": "image", "model": "m", "status": "processing"}
        if self._clock.monotonic() >= self._ends[ident]:
            task |= {"status": "completed", "results": ["https://files.example.com/a.png"]}
        return task

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            ident = request.url.path.rsplit("/", 1)[-1]
            self._note(request, [ident])
            return httpx2.Response(200, json=self._task(ident))
        ids: list[str] = json.loads(await request.aread())["task_ids"]
        self._note(request, ids)
        tasks = [self._task(each) for each in ids]
        match self._random.choice(TROUBLES):
            case "404" | "503" | "429" as status:
                return httpx2.Response(int(status), json={"error": {"message": "no"}})
            case "shape":
                return httpx2.Response(200, json={"data": "none"})
            case "omit":
                tasks = tasks[1:]
            case "bare":
                tasks = [{name: task[name] for name in ("id", "type", "model", "status")} for task in tasks]
            case "break":
                raise httpx2.ReadError("broken")
            case "stranger":
                tasks.append({"id": "another", "status": "completed", "results": ["https://files.example.com/b.png"]})
            case _:
                pass
        return httpx2.Response(200, json={"code": 200, "data": tasks})

    def _note(self, request: httpx2.Request, ids: list[str]) -> None:
        for ident in ids:
            self.keys.setdefault(ident, set()).add(request.headers["authorization"])


async def episode(seed: int, plans: list[tuple[float, float, bool, int]]) -> None:
    clock = FakeClock()
    began = clock.monotonic()
    ends = {f"task-{number}": began + plan[0] for number, plan in enumerate(plans)}
    gateway = Moody(clock, ends, seed)
    waits = Waits(clock, Pauses(clock), random.Random(seed).uniform)
    callers = [Caller(gateway.transport, KEY), Caller(gateway.transport, "sk-other-000000")]

    async def wait(number: int, seconds: float, known: bool, caller: Caller) -> None:
        ident = f"task-{number}"
        task = wire.Task(ident, "pending", kind="image", model="m") if known else ident
        outcome: Outcome | None = None
        with suppress(GatewayError):  # the first polls may all fail
            outcome = await waits.wait_for(caller, task, seconds=seconds, progress=Progress(None))
        passed = clock.monotonic() - began
        assert passed <= seconds + TICK_SECONDS + 1e-6
        if outcome is not None and outcome.task.final:
            # Not before its end; after it, at the next poll, or at the one after those that failed.
            assert passed >= ends[ident] - began - 1e-6
            most = MAX_FAILURES * (IMAGE_PACE.longest + 2 * GATHER_SECONDS)
            assert passed <= max(ends[ident] - began, IMAGE_PACE.first) + most
            assert outcome.task.results

    async with anyio.create_task_group() as group:
        for number, (_, seconds, known, who) in enumerate(plans):
            group.start_soon(wait, number, seconds, known, callers[who])
    assert waits.tasks == 0
    assert all(len(keys) == 1 for keys in gateway.keys.values())
    assert not [task for task in asyncio.all_tasks() if task.get_name() in ("poll", "timetable")]


PLAN = st.tuples(st.floats(0, 40), st.sampled_from([0.0, 4.0, 20.0, 45.0]), st.booleans(), st.integers(0, 1))


@given(st.integers(0, 2**32), st.lists(PLAN, min_size=8, max_size=24))
@settings(max_examples=12, deadline=None)
def test_every_wait_is_told_at_its_due_or_ends_in_time(seed: int, plans: list[tuple[float, float, bool, int]]) -> None:
    asyncio.run(episode(seed, plans))
