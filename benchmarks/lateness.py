"""How late an agent hears that its picture or video is there, and how many reads that takes. Time is simulated."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from statistics import median
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
from mcp.client import Client

from benchmarks.contenders import KEY
from benchmarks.figures import Section
from evolink_mcp.gateway import Transport
from evolink_mcp.jobs.pace import pace_of
from evolink_mcp.jobs.waits import POLL
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App

URL = "http://127.0.0.1:9"
SECONDS = (2, 10, 40, 120)
SPREAD = (0.75, 1.25)  # what a task really takes, of what such a task usually takes
STILL_TURNS = 5  # of the event loop, until those who heard of something have acted on it
SEED_SLEEP = 5.0  # the client loop of the quick start (S0): read, sleep 5 s, read again


class Clock:
    """Sleeps take no time; they move it, once everybody has acted on what is known and no poll is under way."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        for _ in range(STILL_TURNS):
            await anyio.lowlevel.checkpoint()
            while polls := [task for task in asyncio.all_tasks() if task.get_name() == POLL]:
                await asyncio.wait(polls)
        self.time += seconds
        await anyio.lowlevel.checkpoint()


@dataclass
class Gateway:
    """One task at a time, by that clock. ``usual``: the estimate it gives, if any."""

    clock: Clock
    kind: str
    usual: float | None = None
    began: float = 0.0
    seconds: float = 0.0
    reads: int = 0

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.began = self.clock.time
        else:
            self.reads += 1
        done = self.clock.time >= self.began + self.seconds
        task: dict[str, Any] = {
            "created": int(self.began),
            "id": "task-unified-1-a",
            "type": self.kind,
            "status": "completed" if done else "processing",
        }
        if done:
            task["results"] = ["http://127.0.0.1:9/a.png"]
        elif self.usual is not None:
            task["task_info"] = {"estimated_time": round(self.usual)}
        return httpx2.Response(200, content=json.dumps(task).encode(), headers={"content-type": "application/json"})


async def ours(kind: str, durations: list[float], usual: float | None) -> list[tuple[float, int]]:
    """Late by (s) and reads of each task: submitted, then check_task with its longest wait until it has ended."""
    clock = Clock()
    gateway = Gateway(clock, kind, usual)
    app = App(Settings(api_key=KEY, base_url=URL, files_url=URL, text_url=URL), clock=clock)
    app.transport = Transport(URL, URL, over=httpx2.MockTransport(gateway.answer))
    outcomes: list[tuple[float, int]] = []
    async with Client(create_server(app)) as client:
        for seconds in durations:
            gateway.seconds, gateway.reads = seconds, 0
            clock.time += 1000 + random.Random(seconds).random()
            made = await client.call_tool(f"generate_{kind}", {"prompt": "x"})
            while not made.is_error and made.structured_content["status"] != "completed":
                made = await client.call_tool("check_task", {"task_id": "task-unified-1-a", "wait_seconds": 45})
            assert not made.is_error, made.content
            outcomes.append((clock.time - gateway.began - seconds, gateway.reads))
    await app.aclose()
    return outcomes


def seeds_loop(seconds: float) -> tuple[float, int]:
    """The same for the loop of the quick start."""
    sleeps = -int(-seconds // SEED_SLEEP)
    return sleeps * SEED_SLEEP - seconds, sleeps + 1


def sections(*, quick: bool = False) -> dict[str, Section]:
    """Every duration, with and without an estimate."""
    rows, figures = list[list[str]](), dict[str, Any]()
    tasks = 15 if quick else 61
    for kind in ("image", "video"):
        pace = pace_of(kind)
        everything: dict[str, list[tuple[float, int]]] = {"none": [], "estimate": [], "seeds": []}
        for usual in SECONDS:
            chance = random.Random(usual)
            durations = [usual * chance.uniform(*SPREAD) for _ in range(tasks)]
            without = anyio.run(ours, kind, durations, None)
            estimated = anyio.run(ours, kind, durations, float(usual))
            seeds = [seeds_loop(each) for each in durations]
            for name, outcomes in zip(everything, (without, estimated, seeds), strict=True):
                everything[name] += outcomes
            rows.append([f"{kind}, {usual} s ± 25 %", *map(_cell, (without, estimated, seeds)), "0.0 s, 1"])
        rows.append([f"all {kind}s", *map(_cell, everything.values()), "0.0 s, 1"])
        figures[kind] = {
            "limit": pace.longest / 2 + 0.5,
            **{name: median(late for late, _ in outcomes) for name, outcomes in everything.items()},
            **{
                f"{name}_reads": sum(reads for _, reads in outcomes) / len(outcomes)
                for name, outcomes in everything.items()
            },
        }
    return {
        "late": Section(
            "How late an agent hears of it",
            ["task", "no estimate", "with the gateway's estimate", "seeds' loop (sleep 5 s)", "ideal"],
            rows,
            "Median seconds from completed at the gateway to the agent holding the result, and reads per task, with a "
            "fake clock. Looks follow the documented pace, which S2 makes slower for videos (first after 15 s, then "
            "every 10–15 s) than the loop of the quick start: that is what bounds short videos.",
            figures,
        )
    }


def _cell(outcomes: list[tuple[float, int]]) -> str:
    return f"{median(late for late, _ in outcomes):.1f} s, {sum(reads for _, reads in outcomes) / len(outcomes):.1f}"
