"""A gateway that does nothing but take money: it answers after a while, and counts what was paid for by prompt."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager


class Till:
    """``seconds`` is how long it takes to answer a paid request, of which the first half passes before it is paid."""

    def __init__(self) -> None:
        self.url = ""
        self.seconds: Callable[[], float] = lambda: 0.0
        self.paid: defaultdict[str, list[str]] = defaultdict(list)
        self.arrival = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().splitlines() if line[:15] == b"content-length:"), 0
                )
                answer = json.dumps(await self._answer(head, await reader.readexactly(length))).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                writer.write(b"content-length: %d\r\n\r\n%b" % (len(answer), answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes) -> object:
        if not head.startswith(b"POST"):
            task_id = head.split()[1].rpartition(b"/")[2].decode()
            return self._task(task_id) if task_id.startswith("task-") else {"data": []}
        prompt, seconds = json.loads(body)["prompt"], self.seconds()
        self.arrival.set()
        await asyncio.sleep(seconds / 2)
        task_id = f"task-{prompt}-{len(self.paid[prompt])}"
        self.paid[prompt].append(task_id)
        await asyncio.sleep(seconds / 2)
        return self._task(task_id)

    def _task(self, task_id: str) -> dict[str, object]:
        return {"id": task_id, "status": "pending", "type": "image", "model": "m", "created": int(time.time())}


@asynccontextmanager
async def open_till() -> AsyncGenerator[Till]:
    """A till on loopback."""
    till = Till()
    server = await asyncio.start_server(till.serve, "127.0.0.1", 0)
    till.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield till
    finally:
        server.close()
