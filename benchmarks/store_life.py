"""The life of a store in a soak: a process that is restarted, frozen and flushed, by plan or at random."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.programs import program

FROZEN_SECONDS = 8.0
AWAY_SECONDS = 3.0


@asynccontextmanager
async def running(log: Path, *command: str, **env: str) -> AsyncGenerator[Process]:
    """A child process that writes to ``log``; ended in order."""
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(*command, stdout=file, stderr=file, env={**os.environ, **env})
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            await process.wait()


class StoreLife:
    """A Valkey or Redis server on a port of its own, which keeps nothing over a restart."""

    def __init__(self, port: int, logs: Path) -> None:
        self._port = port
        self._logs = logs

    async def live(self, seconds: float) -> None:
        """Restarted twice, frozen once, flushed once, evenly over ``seconds``."""
        step = seconds / 5
        for life in range(3):
            async with self._started() as process:
                await asyncio.sleep(step)
                if life == 1:
                    await _freeze(process, FROZEN_SECONDS)
                    await asyncio.sleep(step)
                if life == 2:
                    await self._flush()
                    await asyncio.sleep(3600)
            await asyncio.sleep(AWAY_SECONDS)

    async def live_at_random(self, seed: int) -> None:
        """Something happens every few seconds, until it is cancelled: two of them may meet."""
        chance = random.Random(seed)
        while True:
            async with self._started() as process:
                for _ in range(chance.choice((1, 2, 3, 5))):
                    await asyncio.sleep(chance.choice((0.3, 1, 4, 9, 15)))
                    if chance.random() < 0.5:
                        await _freeze(process, chance.choice((0.5, 2, 3, FROZEN_SECONDS)))
                    for _ in range(chance.choice((0, 1, 2))):
                        await self._flush()
                        await asyncio.sleep(chance.choice((0.01, 0.1, 0.4, 0.7)))
                if chance.random() < 0.5:
                    process.kill()
            await asyncio.sleep(chance.choice((0, 0.5, AWAY_SECONDS, 6)))

    def _started(self) -> contextlib.AbstractAsyncContextManager[Process]:
        options = ("--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        name = program("valkey-server", "redis-server")
        return running(self._logs / "store.log", name, *options, "--dir", str(self._logs))

    async def _flush(self) -> None:
        with contextlib.suppress(OSError):  # one that does not listen yet has nothing to lose
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(b"FLUSHALL\r\n")
            await reader.readline()
            writer.close()


async def _freeze(process: Process, seconds: float) -> None:
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    process.send_signal(signal.SIGCONT)
