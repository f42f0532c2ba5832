"""A server to speak to by every transport, and the table at the end of the run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.raw import environment
from tests.interop import grid
from tests.interop.job import Server
from tests.programs import end
from tests.support import KEY, Sandbox

SLOW = 4.0  # seconds an image takes, so that there is something to tell while a client waits


@pytest.fixture(scope="session")
def http_url(running_sandbox: Sandbox) -> Iterator[str]:
    """The address of the real program, serving HTTP with the passthrough of keys."""
    with http_server(server_environment(running_sandbox, key=False)) as url:
        yield url


@contextmanager
def http_server(env: dict[str, str], *options: str) -> Generator[str]:
    """The real program over HTTP until the block ends; its address."""
    command = [sys.executable, "-m", "evolink_mcp", "http", "--port", "0", *options]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            yield line.split(" at ")[1].split("/mcp")[0]
        finally:
            end(process)


def starts(cell: grid.Cell, sandbox: Sandbox) -> Iterator[None]:
    """Two starts over stdio, the second with what the first one answered; one by any other transport."""
    for _ in range(2 if cell.transport == "stdio" else 1):
        sandbox.reset()
        sandbox.configure(image_seconds=SLOW)
        yield


@pytest.fixture
def server(sandbox: Sandbox, http_url: str) -> Server:
    """The real program on a sandbox whose images take a while."""
    sandbox.configure(image_seconds=SLOW)
    return Server(
        command=(sys.executable, "-m", "evolink_mcp", "stdio"),
        env=server_environment(sandbox),
        url=http_url,
        key=KEY,
    )


def server_environment(sandbox: Sandbox, *, key: bool = True) -> dict[str, str]:
    urls = {"EVOLINK_BASE_URL": sandbox.url, "EVOLINK_FILES_URL": sandbox.url}
    return environment({**urls, **({"EVOLINK_API_KEY": KEY} if key else {})})


@pytest.fixture
def tried(request: pytest.FixtureRequest, record_property: Any) -> None:
    """Notes which cell of the grid a test is."""
    record_property("cell", str(request.getfixturevalue("cell")))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    outcomes, everything = _outcomes(terminalreporter), _everything(terminalreporter.config)
    if not outcomes and not everything:
        return
    terminalreporter.section("client × transport × era")
    for line in grid.table(outcomes):
        terminalreporter.write_line(line)
    told = f"{len(outcomes)} of {len(grid.cells())} cells tried"
    lacking = everything and len(outcomes) < len(grid.cells())
    terminalreporter.write_line(f"FAILED: {told}, and all have to be" if lacking else told)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run of everything in which a cell was not tried has failed."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus or hasattr(session.config, "workerinput") or not _everything(session.config):
        return
    if len(_outcomes(reporter)) < len(grid.cells()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _everything(config: pytest.Config) -> bool:
    return config.args == ["tests/interop"] and not (config.option.keyword or config.option.collectonly)


def _outcomes(reporter: Any) -> dict[str, str]:
    """What became of each cell, of the reports so far."""
    outcomes: dict[str, str] = {}
    for outcome in ("passed", "failed", "error"):
        for report in reporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "cell":
                    outcomes[value] = f"{report.duration:.0f} s" if outcome == "passed" else "FAILED"
    return outcomes
