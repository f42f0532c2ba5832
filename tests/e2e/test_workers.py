"""Several processes behind one port: one server to its callers, in one order to its operator."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest

from evolink_mcp.transports.http.serve import bind
from tests.contract.asking import call
from tests.e2e.fleet import agent
from tests.e2e.raw import environment
from tests.programs import RedisServer, end, free_port
from tests.provider import running_provider
from tests.support import KEY, Sandbox, png

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="refused there")

CONNECTIONS = 32  # so that chance leaves a worker less than an eighth once in 400,000 times
CALL = {"prompt": "a red kite", "model": "gpt-image-2"}


class Server:
    """``evolink-mcp http --workers 2``, and what it wrote to stderr."""

    def __init__(self, folder: Path, *options: str, **env: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "log"
        options = (*options, "--public-url", self.url)
        command = [sys.executable, "-m", "evolink_mcp", "http", "--port", str(port), "--workers", "2", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment(env), stdout=subprocess.PIPE, stderr=log)

    def wait(self) -> None:
        """Returns once it says that it answers: all workers do."""
        assert self.process.stdout is not None
        assert b"answers at" in self.process.stdout.readline(), self.text

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def workers(self) -> set[int]:
        """The processes that serve, not the one that looks after Python's own resources (Linux: /proc)."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return {pid for pid in map(int, children.split()) if b"spawn_main" in command_of(pid)}


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not holds():
            await anyio.sleep(0.05)


@contextmanager
def running(folder: Path, sandbox: Sandbox, *options: str, **env: str) -> Generator[Server]:
    with RedisServer(folder) as redis:
        for name in ("BASE", "FILES", "TEXT"):
            env[f"EVOLINK_{name}_URL"] = sandbox.url
        server = Server(folder, *options, EVOLINK_STATE_URL=redis.url, **env)
        try:
            server.wait()
            yield server
        finally:
            end(server.process, 30)
            assert server.process.stdout is not None
            server.process.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_two_workers_are_one_server_that_survives_the_death_of_one(sandbox: Sandbox, tmp_path: Path) -> None:
    with running(tmp_path, sandbox) as server:
        workers = server.workers()
        assert len(workers) == 2
        async with agent() as caller:
            made = [await caller.call(server.url, "generate_image", **CALL) for _ in range(2)]
            tasks = [await caller.call(server.url, "check_task", task_id=each["task_id"]) for each in made]
            assert {task["status"] for task in tasks} == {"completed"}
        subprocess.run(["kill", "-KILL", str(min(workers))], check=True)
        await until(lambda: len(server.workers() - workers) == 1 and "another one is started" in server.text)
        async with agent() as caller:
            assert await caller.call(server.url, "check_task", task_id=made[0]["task_id"])
        left = server.workers()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0
        assert not [pid for pid in left if b"spawn_main" in command_of(pid)]
    assert "Traceback" not in server.text


@pytest.mark.skipif(sys.platform != "linux", reason="connections are spread on Linux alone")
def test_connections_are_spread_among_workers_and_their_address_stays_theirs(sandbox: Sandbox, tmp_path: Path) -> None:
    with running(tmp_path, sandbox) as server, ExitStack() as stack:
        workers, url = server.workers(), urlsplit(server.url)
        before = {pid: open_files(pid) for pid in workers}
        for _ in range(CONNECTIONS):
            connection = HTTPConnection(url.hostname or "", url.port, timeout=60)
            stack.callback(connection.close)
            connection.request("GET", "/health")
            assert connection.getresponse().read()
        served = [open_files(pid) - before[pid] for pid in workers]
        assert min(served) >= CONNECTIONS // 8, served
        with pytest.raises(OSError, match="cannot listen"):
            bind(url.hostname or "", url.port or 0)


async def test_a_paid_call_is_answered_by_workers_that_are_being_stopped(sandbox: Sandbox, tmp_path: Path) -> None:
    with running(tmp_path, sandbox) as server:
        sandbox.fault("images", "slow", delay=2)
        answers: list[str] = []

        async def pay() -> None:
            async with agent() as caller:
                answers.append((await caller.call(server.url, "generate_image", **CALL))["task_id"])

        async with anyio.create_task_group() as group:
            group.start_soon(pay)
            await until(lambda: bool(sandbox.requests("/v1/images/generations")))
            server.process.send_signal(signal.SIGTERM)
        assert answers
        assert server.process.wait(120) == 0


@pytest.mark.slow
async def test_any_worker_takes_the_file_and_serves_the_copy_that_another_made_room_for(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    folder = tmp_path / "copies"
    each_anew = httpx2.Limits(max_keepalive_connections=0)  # so that requests meet both workers
    options = ("--auth", "oauth", "--keep", str(folder))
    with (
        running_provider() as provider,
        running(tmp_path, sandbox, *options, EVOLINK_OAUTH_ISSUER=provider.issuer, EVOLINK_API_KEY=KEY) as server,
    ):
        token = provider.token(aud=f"{server.url}/mcp")
        async with httpx2.AsyncClient(trust_env=False, timeout=60, limits=each_anew) as http:
            made = await call(http, server.url, "generate_image", token, prompt="a red kite", wait_seconds=30)
            task_id = made["structuredContent"]["task_id"]
            for number in range(4):
                room = await call(http, server.url, "upload_file", token, file_name=f"kite-{number}.png")
                address = room["structuredContent"]["upload_url"]
                assert (await http.put(address, content=png())).status_code == 200
                assert (await http.put(address, content=png())).status_code == 410
                seen = await call(http, server.url, "check_task", token, task_id=task_id, wait_seconds=0)
                copy = await http.get(seen["structuredContent"]["results"][0]["copy_url"])
                assert (copy.status_code, copy.headers["content-type"]) == (200, "image/png")
    assert len(list(folder.glob("*/*"))) == 1
    assert server.text.count("Kept ") == 1
    assert "Traceback" not in server.text


@pytest.mark.parametrize(
    ("words", "settings", "reason"),
    [
        ((), {}, "EVOLINK_STATE_URL"),
        (("--sandbox",), {"EVOLINK_STATE_URL": "redis://127.0.0.1:9/0"}, "--sandbox"),
    ],
)
def test_workers_that_could_share_nothing_are_refused(
    words: tuple[str, ...], settings: dict[str, str], reason: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evolink_mcp", "http", "--workers", "2", *words],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert re.search(reason, done.stderr)
