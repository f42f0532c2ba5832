"""What holds the event loop up is seen, and forgotten after two minutes."""

from __future__ import annotations

import asyncio
import time

import pytest

from evolink_mcp.transports.http import heartbeat
from evolink_mcp.transports.http.heartbeat import Heartbeat


async def test_what_holds_the_loop_up_is_seen() -> None:
    pulse = Heartbeat()
    with pulse.beat():
        time.sleep(0.4)
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            while pulse.longest < 0.25:
                await asyncio.sleep(0.01)


async def test_a_delay_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.001)
    monkeypatch.setattr(heartbeat, "MINUTE_SECONDS", 0.01)
    pulse = Heartbeat()
    with pulse.beat():
        time.sleep(0.5)
        async with asyncio.timeout(60):
            while pulse.longest < 0.4:
                await asyncio.sleep(0)
            while pulse.longest > 0.3:
                await asyncio.sleep(0.01)
