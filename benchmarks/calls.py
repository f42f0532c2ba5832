"""generate and check in process: calls per second and processor time per call, beside the SDK floor."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import anyio
from mcp.client import Client

from benchmarks.budgets import clear
from benchmarks.contenders import KEY
from benchmarks.figures import Section, ratio, summary
from benchmarks.floor_calls import asking
from benchmarks.gateway import gateway
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App

SHAPES = ((0.0, 1, 200), (0.0, 50, 400), (0.05, 1, 10), (0.05, 50, 400))  # latency s, in flight, calls a block
TOOLS: dict[str, Callable[[int], dict[str, Any]]] = {
    "generate_image": lambda number: {"prompt": f"picture {number}"},
    "check_task": lambda number: {"task_id": f"task-unified-1-{number}", "wait_seconds": 0},
}


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[dict[str, Client]]:
    """In-memory clients of both servers, over one gateway, and as quiet as the program is."""
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    app = App(Settings(api_key=KEY, base_url=url, files_url=url, text_url=url))
    server, http = asking(url)
    async with http, Client(create_server(app)) as ours, Client(server) as floor:
        for client in (ours, floor):
            await client.list_tools()
        gc.collect()
        gc.freeze()  # as the program does once it has started
        yield {"ours": ours, "floor": floor}
    await app.aclose()


async def block(client: Client, tool: str, calls: int, in_flight: int) -> tuple[float, float]:
    """Makes calls; wall and processor seconds per call."""
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            result = await client.call_tool(tool, TOOLS[tool](number))
            assert not result.is_error, result.content

    wall, processor = time.perf_counter(), time.process_time()
    async with anyio.create_task_group() as group:
        for _ in range(in_flight):
            group.start_soon(worker)
    return (time.perf_counter() - wall) / calls, (time.process_time() - processor) / calls


async def measure(
    url: str, tool: str, in_flight: int, calls: int, rounds: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Wall and processor seconds per call by server, block by block in turn; the first of each does not count."""
    times: dict[str, tuple[list[float], list[float]]] = {"ours": ([], []), "floor": ([], [])}
    async with connected(url) as clients:
        for turn in range(rounds + 1):
            for name, client in clients.items():
                wall, processor = await block(client, tool, calls, in_flight)
                if turn:
                    times[name][0].append(wall)
                    times[name][1].append(processor)
    return times


def sections(*, quick: bool = False) -> dict[str, Section]:
    """Every shape with both tools."""
    rounds = 3 if quick else 7
    rows, ratios = list[list[str]](), list[float]()
    for latency, in_flight, calls in SHAPES:
        with gateway(latency) as url:
            for tool in TOOLS:
                times = anyio.run(measure, url, tool, in_flight, calls, rounds)
                (ours, ours_cpu), (floor, floor_cpu) = times["ours"], times["floor"]
                share = ratio(floor, ours)
                if not latency:
                    ratios.append(share)
                rows.append(
                    [
                        f"{tool}, {in_flight} in flight, gateway {latency * 1000:.0f} ms",
                        summary([1 / each for each in ours]),
                        summary([1 / each for each in floor]),
                        f"{share:.2f}",
                        f"{median(ours_cpu) * 1000:.2f}",
                        f"{median(floor_cpu) * 1000:.2f}",
                    ]
                )
    return {
        "calls": Section(
            "Calls in process",
            ["what", "ours, calls/s", "floor, calls/s", "ratio", "ours, CPU ms a call", "floor, CPU ms a call"],
            rows,
            f"Without latency ours makes {median(ratios):.2f} times the floor's calls. The client's part is in both. "
            "The floor is two typed tools around a bare httpx2 request: no check of parameters, no memory of what was "
            "paid for, no deadline.",
            {"ratio": median(ratios), "least": min(ratios)},
        )
    }


def checked() -> dict[str, dict[str, float]]:
    """What the budget needs: no latency, both tools, alone and in company; again, where it holds barely."""
    ratios = list[float]()
    with gateway() as url:
        for _ in range(2):
            for latency, in_flight, calls in SHAPES:
                if not latency:
                    for tool in TOOLS:
                        times = anyio.run(measure, url, tool, in_flight, calls // 2, 4)
                        ratios.append(ratio(times["floor"][0], times["ours"][0]))
            if clear({"calls.ratio": median(ratios)}):
                break
    return {"calls": {"ratio": median(ratios)}}
