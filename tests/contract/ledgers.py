"""Ledgers of several processes, kept alive, and what is recorded in them."""

from __future__ import annotations

import asyncio
import time

import pytest

from evolink_mcp.jobs import ledger as ledger_module
from evolink_mcp.jobs.ledger import Key, Ledger, Mark, Page
from evolink_mcp.jobs.shared import ledger as shared_ledger
from evolink_mcp.jobs.shared import ledger_scripts

KEY = Key("owner", "intent")
AT_REST = ledger_module.SILENT_SECONDS
SCRIPTS = ("BEGIN", "PEEK", "CLAIM", "BEAT", "LIVE", "GOODBYE")


def set_silence(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Sets how long a process may say nothing before it counts as dead, in the file and in the store."""
    monkeypatch.setattr(ledger_module, "SILENT_SECONDS", seconds)
    for name in SCRIPTS:
        script = getattr(ledger_scripts, name)
        monkeypatch.setattr(shared_ledger, name, script.replace(f"now - {AT_REST})", f"now - {seconds})"))


def mark(ledger: Ledger, ref: str = "r1", *, of: Key = KEY) -> Mark:
    return Mark(of, ref, ledger.process, ledger.process, 1.0)


def held(page: Page) -> list[tuple[str, str]]:
    return [(each.ref, each.holder) for each in page.marks]


async def beat(seconds: float, *ledgers: Ledger) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for ledger in ledgers:
            if not await ledger.beat(announced=False, horizon=time.monotonic()):
                await ledger.beat(announced=True, horizon=time.monotonic())
        await asyncio.sleep(0.2)


async def settled(*ledgers: Ledger) -> None:
    """Keeps everybody alive until decisions are made again."""
    await beat(0.1, *ledgers)
    while (await ledgers[0].peek(KEY)).wait:
        await beat(0.2, *ledgers)
