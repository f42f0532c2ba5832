"""A load of calls over a few kept connections, in a process of its own that does next to nothing.

``python -m benchmarks.load LOAD`` says that it is ready, runs a :class:`Load` (JSON) at a line on stdin, and prints a
:class:`Result`. Requests are prepared
bytes; of an answer only its end and its status are looked at. Its processor time is told, because it takes the same
processors as the server.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.agents import is_whole
from benchmarks.contenders import KEY
from benchmarks.raw_http import ENVELOPE, MODERN

NUMBER = "@@@@@@@@@"  # where an argument has it, the number of the call stands


@dataclass(frozen=True)
class Load:
    """One tool call, made over ``connections`` at a time, again and again for ``seconds``. ``mark``: what every answer
    contains."""

    port: int
    tool: str
    arguments: dict[str, Any]
    mark: str
    seconds: float
    connections: int

    def request(self) -> tuple[bytes, ...]:
        """The call as it is sent, in the parts between which its number stands."""
        params = {"name": self.tool, "arguments": self.arguments, "_meta": ENVELOPE}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        head = (
            f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\nauthorization: Bearer {KEY}\r\n"
            "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nmcp-protocol-version: {MODERN}\r\n"
            f"mcp-method: tools/call\r\nmcp-name: {self.tool}\r\n\r\n"
        )
        return tuple((head.encode() + body).split(NUMBER.encode()))


@dataclass(frozen=True)
class Result:
    """What was answered, in how many seconds, and the seconds that the processor worked for the load itself."""

    calls: int
    seconds: float
    processor: float


class Caller(asyncio.Protocol):
    """One connection: sends the next request when the last is answered, until ``end``."""

    def __init__(self, load: Load, numbers: Iterator[int], end: float) -> None:
        self.calls = 0
        self._numbers = numbers
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = load.request()
        self._mark = load.mark.encode()
        self._end = end
        self._got = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not is_whole(self._got):
            return
        if not self._got.startswith(b"HTTP/1.1 200 ") or self._mark not in self._got:
            self._finish(RuntimeError(f"not an answer to the call: {bytes(self._got[:500])!r}"))
            return
        self._got.clear()
        self.calls += 1
        if time.perf_counter() < self._end:
            self._send()
        else:
            self._finish()

    def _send(self) -> None:
        self._transport.write((b"%09d" % next(self._numbers)).join(self._request))

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(ConnectionError("the server closed the connection"))

    def _finish(self, error: Exception | None = None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        self._transport.close()


async def make(load: Load) -> Result:
    """Makes the calls.

    Raises:
        RuntimeError: Something else was answered.
        ConnectionError: The server closed a connection.
    """
    loop = asyncio.get_running_loop()
    numbers = itertools.count(time.time_ns() // 1_000_000 % 10**8)  # no run repeats the calls of the one before
    started, worked = time.perf_counter(), time.process_time()
    opened = (
        loop.create_connection(lambda: Caller(load, numbers, started + load.seconds), "127.0.0.1", load.port)
        for _ in range(load.connections)
    )
    callers = [caller for _, caller in await asyncio.gather(*opened)]
    await asyncio.gather(*(caller.done for caller in callers))
    calls = sum(caller.calls for caller in callers)
    return Result(calls, time.perf_counter() - started, time.process_time() - worked)


@contextmanager
def ready(load: Load) -> Generator[Callable[[], Result]]:
    """A process that makes the calls at the call of what this yields, and did what else it has to do before."""
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(asdict(load))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        stdout.readline()

        def run() -> Result:
            stdin.write("\n")
            stdin.flush()
            return Result(**json.loads(stdout.readline()))

        yield run


def main() -> None:
    """Makes the calls of the command line, at a line on stdin."""
    load = Load(**json.loads(sys.argv[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if sys.stdin.readline():
        sys.stdout.write(json.dumps(asdict(asyncio.run(make(load)))) + "\n")


if __name__ == "__main__":
    main()
