"""How the program ends over stdio: in order, at every signal and a closed stdin; and what it says in a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from tests.e2e.raw import LEGACY, RawHost, environment, raw_host
from tests.support import KEY, Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")

ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
HARMLESS = "ILL TRAP ABRT BUS FPE SEGV SYS EMT KILL CHLD CONT STOP TSTP TTIN TTOU URG WINCH INFO PIPE XFSZ".split()
OTHERS = [each for each in signal.valid_signals() if getattr(each, "name", "SIG")[3:] not in HARMLESS]  # they end it
CLIENT = {"protocolVersion": LEGACY[-1], "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT}
CALL = '{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "%s", "arguments": {%s}}}'


def on(sandbox: Sandbox, **more: str) -> dict[str, str]:
    return {"EVOLINK_BASE_URL": sandbox.url, "EVOLINK_FILES_URL": sandbox.url, "EVOLINK_API_KEY": KEY, **more}


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("ping", {}),
        ("tools/list", {}),
        ("tools/call", {"name": "list_models", "arguments": {"kind": "image"}}),
        ("tools/call", {"name": "generate_image", "arguments": {"prompt": "a kite"}}),
    ],
)
def test_what_a_pipe_held_before_its_end_is_answered(
    sandbox: Sandbox, method: str, params: dict[str, object], end: str
) -> None:
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    done = subprocess.run(
        [sys.executable, "-m", "evolink_mcp"],
        input="\n".join(json.dumps(each) for each in (INITIALIZE, initialized, request)) + end,
        env=environment(on(sandbox)),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 7]


async def pay_slowly(host: RawHost, sandbox: Sandbox) -> None:
    """A paid call whose POST has reached the gateway, and is not answered yet."""
    sandbox.fault("images", "slow", delay=2)
    await host.initialize()
    await host.send(CALL % ("generate_image", '"prompt": "a kite"'))
    while not sandbox.requests("/v1/images/generations"):
        await anyio.sleep(0.02)


async def answer_of(host: RawHost) -> str:
    while True:
        message = await host.receive()
        if message.get("id") == 7:
            return str(message)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_signal_ends_an_idle_server_at_once(ending: signal.Signals) -> None:
    async with raw_host() as host:
        await host.initialize()
        started = time.monotonic()
        host.process.send_signal(ending)
        await host.process.wait()
        assert time.monotonic() - started < 20
    assert host.process.returncode == 0
    assert "Traceback" not in host.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="shows what a process catches on Linux only")
async def test_no_signal_that_programs_send_to_others_ends_it_at_once() -> None:
    async with raw_host() as host:
        await host.initialize()  # the server answers, not what is recalled of it
        status = Path(f"/proc/{host.process.pid}/status").read_text(encoding="ascii").split()
        caught = int(status[status.index("SigCgt:") + 1], 16)
        assert [each for each in OTHERS if not caught & 1 << (each - 1)] == []


@pytest.mark.parametrize("ending", [*ENDINGS, signal.SIGUSR2, None])
async def test_a_paid_request_under_way_comes_home(
    ending: signal.Signals | None, sandbox: Sandbox, tmp_path: Path
) -> None:
    env = on(sandbox, XDG_STATE_HOME=str(tmp_path), EVOLINK_HISTORY="on")
    async with raw_host(env=env) as host:
        await pay_slowly(host, sandbox)
        if ending is None:
            assert host.process.stdin is not None
            await host.process.stdin.aclose()
        else:
            host.process.send_signal(ending)
        answer = await answer_of(host)
        await host.process.wait()
    (task,) = sandbox.ledger()["tasks"]
    assert task["id"] in answer
    assert host.process.returncode == 0
    (history,) = tmp_path.glob("*/history.db")
    with contextlib.closing(sqlite3.connect(history)) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (1,)


async def test_a_new_call_is_refused_while_the_server_ends(sandbox: Sandbox) -> None:
    async with raw_host(env=on(sandbox)) as host:
        await pay_slowly(host, sandbox)
        host.process.send_signal(signal.SIGINT)
        host.process.send_signal(signal.SIGTERM)  # another end than the first changes nothing
        assert "task-unified" in await answer_of(host)
        await host.process.wait()
    assert len(sandbox.requests("/v1/images/generations")) == 1


async def test_a_wait_under_way_ends_with_what_is_known(sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=600)
    async with raw_host(env=on(sandbox)) as host:
        await host.initialize()
        submitted = await host.call("generate_image", prompt="a kite")
        task_id = submitted["structuredContent"]["task_id"]
        await host.send(CALL % ("check_task", f'"task_id": "{task_id}", "wait_seconds": 45'))
        while not sandbox.requests(task_id):
            await anyio.sleep(0.02)
        started = time.monotonic()
        host.process.send_signal(signal.SIGINT)
        answer = await answer_of(host)
        await host.process.wait()
        assert time.monotonic() - started < 30
    assert task_id in answer
    assert "pending" in answer or "processing" in answer


async def test_a_call_that_costs_nothing_holds_nothing_up(sandbox: Sandbox) -> None:
    sandbox.fault("files_list", "hang")
    async with raw_host(env=on(sandbox)) as host:
        await host.initialize()
        await host.send(CALL % ("list_files", ""))
        while not sandbox.requests("list"):
            await anyio.sleep(0.02)
        started = time.monotonic()
        host.process.send_signal(signal.SIGTERM)
        assert "stopped" in await answer_of(host)
        await host.process.wait()
        assert time.monotonic() - started < 30


async def test_a_signal_that_the_parent_ignores_is_ignored() -> None:
    """As `nohup` and shells do it for what they leave running."""
    code = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "os.execv(sys.executable, [sys.executable, '-m', 'evolink_mcp'])"
    )
    async with await anyio.open_process([sys.executable, "-c", code], env=environment(), stderr=None) as process:
        host = RawHost(process)
        with anyio.fail_after(60):
            await host.initialize()
            process.send_signal(signal.SIGHUP)
            assert "result" in await host.request("tools/list")
            assert process.stdin is not None
            await process.stdin.aclose()
            await process.wait()


@pytest.mark.parametrize("command", [["stdio"], ["http", "--port", "0"], ["sandbox", "--port", "0"]])
def test_started_by_hand_it_says_what_it_is_and_one_ctrl_c_ends_it(command: list[str]) -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "evolink_mcp", *command],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
        )
        assert process.stdout is not None
        said = b""
        while b"Ctrl-C ends it" not in said:
            said += os.read(process.stdout.fileno(), 4096)
        if command == ["stdio"]:
            assert b"evolink-mcp install CLIENT --write" in said
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
        assert b"Traceback" not in said + rest
        assert process.returncode in (0, 130)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("command", ["http", "sandbox"])
def test_a_signal_ends_the_other_servers_too(command: str, ending: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "evolink_mcp", command, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"Ctrl-C ends it" in process.stdout.readline()
        process.send_signal(ending)
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 0


def test_without_stdin_it_says_what_is_missing() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m evolink_mcp <&-"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, "stdin" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


async def test_an_answer_that_a_client_which_left_may_not_have_read_is_the_next_process_s(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """As frameworks do it that start a process a call and lose patience."""
    env = on(sandbox, XDG_STATE_HOME=str(tmp_path), EVOLINK_HISTORY="on")
    async with raw_host(env=env) as host:
        await pay_slowly(host, sandbox)  # leaving the block closes stdin, and reads nothing
    async with raw_host(env=env) as host:
        await host.initialize()
        answer = await host.call("generate_image", prompt="a kite")
    (task,) = sandbox.ledger()["tasks"]
    assert answer["structuredContent"]["task_id"] == task["id"]
    assert len(sandbox.requests("/v1/images/generations")) == 1


@contextlib.contextmanager
def started(env: dict[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """The program, with pipes that nobody reads by himself."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "evolink_mcp"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(env)) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_client_that_is_gone_leaves_no_traceback(sandbox: Sandbox) -> None:
    sandbox.fault("images", "slow", delay=2)
    call = CALL % ("generate_image", '"prompt": "a kite"')
    with started(on(sandbox)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{json.dumps(INITIALIZE)}\n{call}\n".encode())
        process.stdin.flush()
        while not sandbox.requests("/v1/images/generations"):
            time.sleep(0.02)
        process.stdout.close()
        log = process.stderr.read()
        assert process.wait(120) == 0
    assert b"Traceback" not in log
    assert len(sandbox.ledger()["tasks"]) == 1


def test_a_client_that_reads_nothing_does_not_hold_the_end_up() -> None:
    import fcntl
    import struct
    import termios

    lines = [json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/list"}) for number in range(2, 102)]
    with started({}) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(f"{line}\n" for line in [json.dumps(INITIALIZE), *lines]).encode())
        process.stdin.flush()
        waiting = 0
        while waiting < 50_000:  # what a pipe holds, less one message
            (waiting,) = struct.unpack("i", fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)))
        process.send_signal(signal.SIGTERM)
        process.wait(120)
