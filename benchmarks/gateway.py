"""The least of a gateway: answers at once, or after a fixed time, and keeps nothing.

It runs in a process of its own (``python -m benchmarks.gateway SECONDS``) and does so little that the client, and
not the gateway, is what is measured. The sandbox, which checks and draws, would be.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from email.utils import formatdate

NUMBERS = itertools.count(1)
Answer = Callable[[str, str, bytes], bytes]  # method, path and body of a request; the body of its answer


class Answers(asyncio.Protocol):
    """One kept-alive connection with one request at a time, as httpx2 uses it."""

    def __init__(self, latency: float, answer: Answer) -> None:
        self._latency = latency
        self._answer = answer
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        found = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if len(body) < int(found or 0):
            return
        self._got = b""
        method, path, _ = head.decode("latin-1").split(" ", 2)
        answer = self._answer(method, path, body)
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._send, answer)
        else:
            self._send(answer)

    def _send(self, body: bytes) -> None:
        if not self._transport.is_closing():
            head = (
                f"HTTP/1.1 200 OK\r\ndate: {formatdate(usegmt=True)}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n"
            )
            self._transport.write(head.encode() + body)


def answer_to(method: str, path: str, _: bytes) -> bytes:
    """A task: just created, or still under way."""
    kind = "video" if "video" in path else "image"
    made = f"task-unified-{time.time():.0f}-{next(NUMBERS)}" if method == "POST" else path.rsplit("/", 1)[-1]
    task = {
        "created": int(time.time()),
        "id": made,
        "model": "benchmark-model",
        "object": f"{kind}.generation.task",
        "progress": 0 if method == "POST" else 40,
        "status": "pending" if method == "POST" else "processing",
        "type": kind,
        "task_info": {"can_cancel": True, "estimated_time": 100},
        "usage": {"billing_rule": "per_call", "credits_reserved": 2.5, "user_group": "default"},
    }
    return json.dumps(task).encode()


async def serve(latency: float, answer: Answer = answer_to) -> None:
    """Serves on a free port of loopback, and says which on stdout."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answers(latency, answer), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextmanager
def gateway(latency: float = 0.0, module: str = "benchmarks.gateway") -> Generator[str]:
    """A gateway in a process of its own; its URL."""
    command = [sys.executable, "-m", module, str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
