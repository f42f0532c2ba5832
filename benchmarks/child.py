"""A server as a child process that speaks MCP over stdio, and what it costs: time, memory, bytes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender

PROTOCOL = "2025-06-18"  # all of the peers speak it
IN_FLIGHT = 20
QUIET_SECONDS = 10


class DidNotStart(Exception):
    """A server ended, or stayed silent, before it had answered; with the last it wrote to stderr."""


@dataclass
class Started:
    """Seconds from the spawn to each answer, and what the tool list is."""

    initialize: float
    listed: float
    tools: list[dict[str, Any]]


def processor_of(pid: int) -> float:
    """Seconds that the processor has worked for a process, of all threads there are (Linux: /proc)."""
    nanoseconds = 0
    for each in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            nanoseconds += int((each / "schedstat").read_text(encoding="ascii").split()[0])
    return nanoseconds / 1e9


class Child:
    """One running server."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: Path, spawned: float) -> None:
        self.process = process
        self._stderr = stderr
        self._spawned = spawned
        self._id = 0
        self.started = Started(0, 0, [])

    def processor(self) -> float:
        """Seconds that its processor worked so far, of all threads (Linux: /proc)."""
        return processor_of(self.process.pid)

    @property
    def age(self) -> float:
        """Seconds since the spawn."""
        return time.perf_counter() - self._spawned

    def _send(self, messages: Iterable[dict[str, Any]]) -> None:
        assert self.process.stdin is not None
        lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages)
        try:
            self.process.stdin.write(lines.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._dead() from None

    def _answers(self, count: int) -> list[dict[str, Any]]:
        """The next ``count`` answers, in any order; notifications are passed over."""
        assert self.process.stdout is not None
        answers: list[dict[str, Any]] = []
        while len(answers) < count:
            line = self.process.stdout.readline()
            if not line:
                raise self._dead()
            if line.startswith(b"{") and "id" in (message := json.loads(line)) and "method" not in message:
                answers.append(message)
        return answers

    def _dead(self) -> DidNotStart:
        self.process.wait(QUIET_SECONDS)
        lines = [line for line in self._stderr.read_text(encoding="utf-8", errors="replace").splitlines() if line]
        return DidNotStart(lines[-1].strip()[:160] if lines else f"it ended with code {self.process.returncode}")

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """One request; its result.

        Raises:
            DidNotStart: The server ended instead.
        """
        self._id += 1
        self._send([{"id": self._id, "method": method, "params": params}])
        return self._answers(1)[0].get("result", {})

    def begin(self) -> Started:
        """Says hello and asks for the tools."""
        self.request(
            "initialize", protocolVersion=PROTOCOL, capabilities={}, clientInfo={"name": "bench", "version": "1"}
        )
        initialize = self.age
        self._send([{"method": "notifications/initialized"}])
        tools = self.request("tools/list").get("tools", [])
        self.started = Started(initialize, self.age, tools)
        return self.started

    def calls(self, tool: str, arguments: Sequence[dict[str, Any]]) -> float:
        """Makes calls, a few in flight at a time; the seconds they took."""
        started = time.perf_counter()
        for first in range(0, len(arguments), IN_FLIGHT):
            batch = arguments[first : first + IN_FLIGHT]
            self._send(
                {"id": self._id + number + 1, "method": "tools/call", "params": {"name": tool, "arguments": given}}
                for number, given in enumerate(batch)
            )
            self._id += len(batch)
            self._answers(len(batch))
        return time.perf_counter() - started

    def resident(self) -> float:
        """Bytes in memory, of the process and its children."""
        return sum(resident(pid) for pid in tree(self.process.pid))


def tree(pid: int) -> list[int]:
    """A process and all below it (Linux: /proc)."""
    answers = [pid]
    for each in answers:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                answers += map(int, children.read_text(encoding="ascii").split())
    return answers


def resident(pid: int) -> float:
    """Bytes in memory (Linux: /proc)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def spawned(contender: Contender, *, env: dict[str, str] | None = None) -> Generator[Child]:
    """The contender's server, freshly started with an empty home (or that of ``env``), and ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="evolink-bench-") as folder:
        stderr = Path(folder) / "stderr"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
        environment = {**kept, "HOME": folder, **contender.env, **(env or {})}
        with stderr.open("wb") as log:
            started = time.perf_counter()
            process = subprocess.Popen(
                contender.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=contender.folder or environment["HOME"],
            )
        try:
            yield Child(process, stderr, started)
        finally:
            assert process.stdin is not None
            assert process.stdout is not None
            for pipe in (process.stdin, process.stdout):
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
            try:
                process.wait(QUIET_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
