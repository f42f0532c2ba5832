"""Clients by other people: each makes an image and waits for it, by every transport and in every era it has."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from tests.interop import grid, software
from tests.interop.conftest import starts
from tests.interop.grid import Cell
from tests.interop.job import Server, approve, done_by
from tests.support import Sandbox

HERE = Path(__file__).parent / "clients"
PACKAGES = {
    grid.TYPESCRIPT_1: ("@modelcontextprotocol/sdk", "typescript1.mjs"),
    grid.TYPESCRIPT_2: ("@modelcontextprotocol/client", "typescript2.mjs"),
}


def program(client: str) -> list[str | Path]:
    """What runs the client's part, in an environment where its library is installed."""
    if client == grid.TYPESCRIPT_1_11:
        return [software.node(), _beside(software.old_client(client), "typescript_old.mjs")]
    if client in grid.OLD:
        return [software.old_client(client), HERE / "python_old.py"]
    if client == grid.PYTHON_1:
        return [software.pinned("mcp"), HERE / "python1.py"]
    if client == grid.PYTHON_2:
        return [sys.executable, HERE / "python2.py"]
    if client == grid.FASTMCP:
        return [software.pinned("fastmcp"), HERE / "fast.py"]
    package, script = PACKAGES[client]
    return [software.node(), _beside(software.package(package), script)]


def _beside(folder: Path, script: str) -> Path:
    """A copy of our scripts where Node finds the library: beside its ``node_modules``."""
    for path in HERE.glob("*.mjs"):
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
            copy.write(path.read_bytes())
        shutil.move(copy.name, folder / path.name)
    return folder / script


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize(
    "cell",
    grid.cells(*grid.OLD, grid.PYTHON_1, grid.PYTHON_2, grid.FASTMCP, grid.TYPESCRIPT_1, grid.TYPESCRIPT_2),
    ids=str,
)
def test_a_client_makes_an_image_and_waits_for_it(cell: Cell, server: Server, sandbox: Sandbox) -> None:
    for _ in starts(cell, sandbox):
        approve(done_by(program(cell.client), cell, server), cell, sandbox)


@pytest.mark.parametrize(
    "cell",
    [cell for cell in grid.cells(grid.PYTHON_2, grid.TYPESCRIPT_2) if cell.transport == "stdio"],
    ids=str,
)
def test_a_client_makes_an_image_of_a_server_that_starts_the_slow_way(
    cell: Cell, server: Server, sandbox: Sandbox
) -> None:
    slow = dataclasses.replace(server, env={**server.env, "EVOLINK_FAST_START": "off"})
    approve(done_by(program(cell.client), cell, slow), cell, sandbox)
