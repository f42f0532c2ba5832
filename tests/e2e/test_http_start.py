"""A server over HTTP is reached once it can serve, and not before: who is sent there would wait."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.raw import environment
from tests.programs import RedisServer, end, free_port
from tests.support import Sandbox

IMPORTED = re.compile(r"import time: .*\| +(evolink_mcp\.\S+|http\w+2)$", re.MULTILINE)


class Server:
    """``evolink-mcp http`` on its way up."""

    def __init__(self, folder: Path, *options: str, **env: str) -> None:
        self.port = free_port()
        self._log = folder / "log"
        command = [sys.executable, "-m", "evolink_mcp", "http", "--port", str(self.port), *options]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environment(env) | {"PYTHONPROFILEIMPORTTIME": "1"}, stdout=subprocess.PIPE, stderr=log
            )

    def imported(self) -> list[str]:
        """The modules that its processes have imported by now: ours, and the HTTP client's."""
        return IMPORTED.findall(self._log.read_text(encoding="utf-8"))

    def wait_for_port(self) -> None:
        """Returns once it takes a connection."""
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError(self._log.read_text(encoding="utf-8"))


@contextmanager
def starting(folder: Path, sandbox: Sandbox, *options: str, **env: str) -> Generator[Server]:
    env |= {f"EVOLINK_{name}_URL": sandbox.url for name in ("BASE", "FILES", "TEXT")}
    server = Server(folder, *options, **env)
    try:
        yield server
    finally:
        end(server.process, 30)
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="refused there")
def test_workers_take_no_connection_before_they_can_serve_it(sandbox: Sandbox, tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path) as redis,
        starting(tmp_path, sandbox, "--workers", "2", EVOLINK_STATE_URL=redis.url) as server,
    ):
        server.wait_for_port()
        assert "evolink_mcp.tools.follow_ups" in server.imported()
