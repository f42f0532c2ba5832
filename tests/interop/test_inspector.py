"""The MCP Inspector's command line: its strict look at our schemas, and a job done with it call by call."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from tests.interop import grid, software
from tests.interop.grid import Cell
from tests.interop.job import LONGEST, PROMPT, Server, approve_task
from tests.snapshots import PARAMETERS
from tests.support import Sandbox

INSPECTOR = Path("node_modules", "@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")


def inspect(cell: Cell, server: Server, home: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """One call of the Inspector: the result it prints, and what it says beside it."""
    target = list(server.command)
    if cell.transport != "stdio":
        path = "/mcp" if cell.transport == "http" else "/sse"
        target = [f"{server.url}{path}", "--header", f"Authorization: Bearer {server.key}"]
    script = software.package("@modelcontextprotocol/inspector") / INSPECTOR
    command = [str(software.node()), str(script), "--cli", *target, "--transport", cell.transport]
    options = ["--protocol-era", cell.era, "--format", "json", *arguments]
    given = [f"-e{name}={value}" for name, value in server.env.items()] if cell.transport == "stdio" else []
    ran = subprocess.run(
        [*command, *given, *options],
        env={**server.env, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return cast("dict[str, Any]", json.loads(ran.stdout)["result"]), ran.stderr


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize("cell", grid.cells(grid.INSPECTOR), ids=str)
def test_the_inspector_finds_nothing_and_does_the_job(
    cell: Cell, server: Server, sandbox: Sandbox, tmp_path: Path
) -> None:
    def call(tool: str, **arguments: object) -> dict[str, Any]:
        given = ["--tool-name", tool, "--tool-args-json", json.dumps(arguments)]
        answer, _ = inspect(cell, server, tmp_path, "--method", "tools/call", *given)
        assert not answer.get("isError"), answer
        return cast("dict[str, Any]", answer["structuredContent"])

    listed, complaints = inspect(cell, server, tmp_path, "--method", "tools/list", "--strict")
    assert [tool["name"] for tool in listed["tools"]] == list(PARAMETERS)
    assert "warning" not in complaints.lower()
    made = call("generate_image", **PROMPT)
    task = call("check_task", task_id=made["task_id"], wait_seconds=30)
    assert task["task_id"] == made["task_id"]
    approve_task(task)
    assert sandbox.paid() == 1
