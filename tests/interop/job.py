"""The job that every client does, and what must have become of it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tests.interop.grid import HANDSHAKES, MODERN, OLD, PYTHON_1_6, PYTHON_1_9, Cell
from tests.snapshots import PARAMETERS
from tests.support import Sandbox

PROMPT = {"prompt": "a red kite"}
LONGEST = 300  # seconds
OLD_PYTHON = (PYTHON_1_6, PYTHON_1_9)


@dataclass(frozen=True)
class Server:
    """How the program is reached: started over stdio, or at an address."""

    command: tuple[str, ...]
    env: dict[str, str]
    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


@dataclass(frozen=True)
class Done:
    """What a client saw: the server's name, the version agreed on, tools, both answers, and progress between."""

    server: str
    protocol: str
    tools: list[str]
    made: dict[str, Any]
    progress: list[tuple[float, float | None, str | None]]
    checked: dict[str, Any]
    schemas: list[dict[str, Any]] | None = None


def done_by(program: list[str | Path], cell: Cell, server: Server) -> Done:
    """Has a program of another environment do the job. It takes it as JSON and prints what it saw."""
    job = {
        "transport": cell.transport,
        "era": cell.era,
        "command": server.command,
        "env": server.env,
        "url": server.url,
        "headers": server.headers,
    }
    command = [*(str(part) for part in program), json.dumps(job)]
    ran = subprocess.run(command, env=server.env, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return Done(**cast("dict[str, Any]", json.loads(ran.stdout.splitlines()[-1])))


def approve(done: Done, cell: Cell, sandbox: Sandbox) -> None:
    """Asserts that the whole job was done, once, with progress, in the era that was wanted."""
    assert done.server == "evolink"
    assert done.tools == list(PARAMETERS)
    if cell.era == "legacy":
        assert done.protocol in HANDSHAKES
    elif cell.era == "modern":
        assert done.protocol == MODERN
    assert done.made["status"] in ("pending", "processing")
    assert done.checked["task_id"] == done.made["task_id"]
    approve_task(done.checked)
    assert sandbox.paid() == 1
    if cell.client in OLD_PYTHON:
        return  # they show no progress
    values = [value for value, _, _ in done.progress]
    assert len(values) >= 2
    assert values == sorted(set(values))
    assert {total for _, total, _ in done.progress} == {100}
    assert all(message for _, _, message in done.progress) or cell.client in OLD or done.protocol < "2025-03-26"


def approve_task(task: dict[str, Any]) -> None:
    assert task["status"] == "completed"
    (result,) = task["results"]
    assert result["mime_type"] == "image/png"
    assert result["url"].startswith("http://127.0.0.1:")
