"""Starting and stopping: in a loop, in a thread, as a command; ports, leftovers, imports, the clock."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.sandbox import serve
from evolink_mcp.sandbox.clock import Clock
from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.extras import missing_extras
from evolink_mcp.sandbox.serve import ThreadedSandbox, running_sandbox, serve_forever
from tests.unit.sandbox.lab import KEY, PAID, Lab

AUTH = {"authorization": f"Bearer {KEY}"}


async def test_it_serves_in_the_current_loop_and_is_gone_afterwards() -> None:
    with anyio.fail_after(60):
        async with running_sandbox() as running, httpx2.AsyncClient(trust_env=False) as client:
            assert running.url.startswith("http://127.0.0.1:")
            assert (await client.get(running.url + "/v1/credits", headers=AUTH)).status_code == 200
        async with httpx2.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx2.ConnectError):
                await client.get(running.url)


async def test_it_listens_on_this_machine_only() -> None:
    """An address of the same machine that is another than its own finds nobody."""
    async with running_sandbox() as running:
        port = int(running.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port):
            pass
        with pytest.raises(OSError, match=r"connection|refused|assign"), anyio.fail_after(60):
            await anyio.connect_tcp("127.0.0.2", port)


async def test_two_run_side_by_side_and_know_nothing_of_each_other() -> None:
    async with running_sandbox() as one, running_sandbox() as two, httpx2.AsyncClient(trust_env=False) as client:
        await client.post(one.url + PAID["audio"], json={"model": "suno-v5"}, headers=AUTH)
        paid = [(await client.get(url + "/_sandbox/ledger")).json()["paid_tasks"] for url in (one.url, two.url)]
        assert paid == [1, 0]


def test_it_stops_at_once_whatever_hangs(caplog: pytest.LogCaptureFixture) -> None:
    broken: list[httpx2.TransportError] = []

    def ask(url: str) -> None:
        try:
            httpx2.get(url + "/v1/credits", headers=AUTH, timeout=20, trust_env=False)
        except httpx2.TransportError as problem:
            broken.append(problem)

    with ThreadedSandbox() as threaded:
        lab = Lab(threaded.running)
        for kind in ("hang", "stall", "slow", "trickle"):
            lab.fault("credits", kind, **({"delay": 60} if kind in ("slow", "trickle") else {}))
        lab.submit("video", "veo3", quality="1080p", duration=60)
        asking = [threading.Thread(target=ask, args=(threaded.url,)) for _ in range(4)]
        for thread in asking:
            thread.start()
        deadline = time.monotonic() + 60
        while lab.control("GET", "faults")["faults"]:
            assert time.monotonic() < deadline
        lab.close()
        stopped = time.monotonic()
    assert time.monotonic() - stopped < 20
    for thread in asking:
        thread.join(5)
    assert len(broken) == 4
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_stopping_under_cancellation_still_cleans_up() -> None:
    url, file = "", Path()
    with anyio.CancelScope() as scope:
        async with running_sandbox() as running:
            url, file = running.url, running.sandbox.folder.new(".png")
            assert file.parent.exists()
            scope.cancel()
            await anyio.sleep_forever()
    with pytest.raises(OSError, match="connection attempts failed"):
        await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2]))
    assert not file.parent.exists()


def test_a_taken_port_is_named() -> None:
    with ThreadedSandbox() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"), ThreadedSandbox(port=port):
            pass
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            serve_forever(port=port)


async def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise OSError("no servers today")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", refuse)
    with pytest.raises(OSError, match="no servers today"):
        async with running_sandbox():
            pass


def test_a_thread_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LookupError("no application")

    monkeypatch.setattr(serve, "create_app", broken)
    with pytest.raises(LookupError, match="no application"), ThreadedSandbox():
        pass


def test_a_thread_that_breaks_later_does_not_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = serve._Server.shutdown  # pyright: ignore[reportPrivateUsage]

    async def broken(self: Any, sockets: Any = None) -> None:
        await stop(self, sockets)
        raise LookupError("late")

    seen: list[object] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    monkeypatch.setattr(serve._Server, "shutdown", broken)  # pyright: ignore[reportPrivateUsage]
    with ThreadedSandbox():
        pass
    assert len(seen) == 1


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"])
def test_a_name_that_was_pointed_at_this_machine_is_refused(lab: Lab, host: str) -> None:
    for path in ("/v1/credits", "/_sandbox/ledger"):
        response = lab.http.get(path, headers={"host": host})
        assert response.status_code == 403
        assert response.headers["x-request-id"]


def test_nothing_is_left_on_disk() -> None:
    with ThreadedSandbox(SandboxConfig(image_seconds=0)) as threaded:
        lab = Lab(threaded.running)
        lab.make("image", "gpt-image-1", size="64x64")
        lab.submit("video", "veo3", quality="1080p", duration=30)
        folder = lab.sandbox.folder.path
        assert folder is not None
        assert folder.is_dir()
        lab.close()
    assert not folder.exists()


def test_an_injected_clock_is_the_sandboxs_time() -> None:
    class Fixed(Clock):
        def now(self) -> float:
            return 1_000_000_000.0 + self.ahead

    clock = Fixed()
    with ThreadedSandbox(clock=clock) as threaded:
        lab = Lab(threaded.running)
        task = lab.submit("image", "gpt-image-1", size="64x64")
        assert task["created"] == 1_000_000_000
        assert lab.task(task["id"])["status"] == "pending"
        clock.advance(2)
        assert lab.ended(task["id"])["status"] == "completed"
        lab.close()


def test_the_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        Clock().advance(-1)


COMMAND = """
import signal, sys
from evolink_mcp.sandbox.serve import serve_forever
# A shell starts its background jobs deaf to Ctrl-C; this one has to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)
def ready(url):
    sys.stdout.write(url + "\\n")
    sys.stdout.flush()
serve_forever(on_ready=ready)
sys.stdout.write("clean\\n")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert httpx2.get(url + "/v1/credits", headers=AUTH, trust_env=False).status_code == 200
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
        assert (process.returncode, out, err) == (0, "clean\n", "")


def test_a_light_import_loads_no_heavy_package() -> None:
    script = (
        "import sys, evolink_mcp.sandbox, evolink_mcp.sandbox.config, evolink_mcp.sandbox.extras\n"
        "assert not {'PIL', 'av', 'starlette', 'uvicorn'} & set(sys.modules)\n"
        "import evolink_mcp.sandbox.serve\n"
        "assert not {'PIL', 'av'} & set(sys.modules)\n"
        "others = {name for name in sys.modules if name.startswith('evolink_mcp.')}\n"
        "assert all(name.startswith('evolink_mcp.sandbox') for name in others), others\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ})


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_extras() == []
    nothing: dict[str, None] = {}
    monkeypatch.setattr("evolink_mcp.sandbox.extras.find_spec", nothing.get)
    assert missing_extras() == ["pillow", "av"]


def test_a_task_fails_when_the_packages_are_missing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evolink_mcp.sandbox.drawing", None)
    assert lab.make("image", "gpt-image-1")["error"]["code"] == "service_error"


def test_a_defect_answers_in_the_gateways_shape(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise LookupError("a defect")

    monkeypatch.setattr("evolink_mcp.sandbox.reading.line", broken)
    lab.make("image", "gpt-image-1", size="64x64")
    response = lab.http.get("/v1/tasks")
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "internal_server_error"
    assert response.headers["x-request-id"] in response.json()["error"]["message"]


def test_the_room_imports_no_other(tmp_path: Path) -> None:
    room = Path(serve.__file__).parent
    for module in room.glob("*.py"):
        for line in module.read_text(encoding="utf-8").splitlines():
            if "import" in line and "evolink_mcp" in line:
                assert line.lstrip().startswith(("from evolink_mcp.sandbox.", "from evolink_mcp.sandbox import ")), line
