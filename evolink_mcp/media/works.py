"""Work that goes on beside calls: downloads and measurements."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


async def end_works(works: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels what is under way, and returns once it has ended."""
    under_way = list(works)
    for work in under_way:
        work.cancel()
    if under_way:
        await asyncio.wait(under_way)
