"""Ledgers of several processes, kept alive, and what is recorded in them."""

from __future__ import annotations

import asyncio
import time

from evolink_mcp.jobs.ledger import Key, Ledger, Mark, Page

KEY = Key("owner", "intent")


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
