"""Requests that are small and make this server search for long: many at once leave the event loop its turns."""

from __future__ import annotations

import sys
import threading
from types import FrameType

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.guard.aside import MAX_THREADS, search
from evolink_mcp.registry import Registry
from evolink_mcp.tools import generation
from tests.support import Sandbox, refused

SEARCH = Registry.alternatives.__code__
CALLS = 8
BOUND = 20.0


def is_searching(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not SEARCH:
        frame = frame.f_back
    return frame is not None


async def test_refused_calls_search_a_few_at_a_time(client: Client, sandbox: Sandbox) -> None:
    most, answers = 0, list[str]()

    async def call(number: int) -> None:
        answers.append(
            await refused(client, "generate_video", prompt="x", options={"video_urls": [f"https://{number}"]})
        )

    async with anyio.create_task_group() as group:
        for number in range(CALLS):
            group.start_soon(call, number)
        while len(answers) < CALLS:
            frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
            most = max(most, sum(is_searching(frames.get(each.ident or 0)) for each in threading.enumerate()))
            await anyio.sleep(0.002)
    assert 0 < most <= MAX_THREADS
    assert sandbox.paid() == 0


async def test_a_refused_call_behind_the_searches_of_others_is_told_without_one(
    client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "MAX_QUEUE_SECONDS", 0.01)
    free, text = threading.Event(), ""
    async with anyio.create_task_group() as group:
        for _ in range(MAX_THREADS):
            group.start_soon(search, free.wait)
        try:
            with anyio.fail_after(BOUND):
                text = await refused(client, "generate_video", prompt="x", duration=20)
        finally:
            free.set()
    assert "Charged: no." in text
    assert "takes this very call" not in text
    assert sandbox.paid() == 0
