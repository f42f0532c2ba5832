"""Clients that cancel or hang up at random and repeat, over real stdio and HTTP sockets: paid once, and every id heard.

``EVOLINK_EPISODES`` says how many episodes of each kind (``make episodes``: 2,000).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from benchmarks.till import Till, open_till
from evolink_mcp.settings import Settings
from evolink_mcp.transports.http.options import HttpOptions
from tests.e2e.raw import envelope, raw_host
from tests.serving import serving
from tests.support import KEY

# Not EVOLINK_…: the tests' environment is scrubbed of those. Read once, before it is.
EPISODES = int(os.environ.get("EVOLINK_EPISODES", "150"))
ACCEPTS = ("application/json, text/event-stream", "application/json")


def request(prompt: str, wait_seconds: int, number: object = 1) -> dict[str, Any]:
    params = {"name": "generate_image", "arguments": {"prompt": prompt, "wait_seconds": wait_seconds}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def verdict(till: Till, prompt: str, heard: set[str], intents: int) -> str:
    """What is wrong with one episode."""
    paid = till.paid.pop(prompt, [])
    if len(paid) > intents:
        return f"paid {len(paid)} times for {intents} intents"
    return f"paid {paid}, heard {heard}" if set(paid) - heard else ""


def ids_in(content: str, prompt: str) -> set[str]:
    """The ids of tasks in an answer."""
    return {f"task-{prompt}-{number}" for number in range(9) if f"task-{prompt}-{number}" in content}


def post(body: dict[str, Any], accept: str, *, modern: bool) -> bytes:
    """One POST as it goes over the wire."""
    version = (
        "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: generate_image\r\n" if modern else ""
    )
    if modern:
        body = {**body, "params": {**body["params"], "_meta": envelope()}}
    content = json.dumps(body)
    return (
        f"POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
        f"accept: {accept}\r\n{version}content-length: {len(content)}\r\n\r\n{content}"
    ).encode()


async def leave(url: str, wire: bytes, seconds: float) -> asyncio.Task[str]:
    """Sends a request and hangs up after a while; tells later what the server handed to the socket nevertheless."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(wire)
    arrival = asyncio.create_task(_read(reader, writer))
    await asyncio.wait([arrival], timeout=seconds)
    if not arrival.done():
        writer.write_eof()
    return arrival


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    content = (await reader.read()).decode()
    writer.close()
    return content


async def stay(url: str, wire: bytes) -> str:
    """Sends a request and reads until its answer is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(wire)
    arrived = b""
    try:
        with anyio.fail_after(60):
            while b'"result"' not in arrived and b'"error"' not in arrived:
                chunk = await reader.read(65536)
                assert chunk, arrived
                arrived += chunk
    finally:
        writer.close()
    return arrived.decode()


async def test_http_clients_that_hang_up_and_repeat_pay_once() -> None:
    chance = random.Random(20261127)
    joined = 0
    async with open_till() as till:
        till.seconds = lambda: chance.choice((0.0, 0.01, 0.04))
        settings = Settings(base_url=till.url, files_url=till.url, text_url=till.url)
        async with serving(settings, HttpOptions(calls_per_minute=0)) as served:
            for number in range(EPISODES):
                prompt = f"p{number}x"
                wire = post(
                    request(prompt, chance.choice((0, 0, 5))), chance.choice(ACCEPTS), modern=chance.random() < 0.5
                )
                gone: list[asyncio.Task[str]] = []
                for _ in range(chance.choice((1, 1, 2))):
                    gone.append(await leave(served.url, wire, chance.uniform(0, 0.07)))
                    await asyncio.sleep(chance.choice((0, 0, 0.002, 0.02)))
                last = await stay(served.url, post(request(prompt, 0), ACCEPTS[0], modern=False))
                joined += "identical request" in last
                heard = [ids_in(content, prompt) for content in [*await asyncio.gather(*gone), last]]
                wrong = verdict(till, prompt, set[str]().union(*heard), 1 + sum(map(bool, heard[:-1])))
                assert not wrong, f"episode {number}: {wrong}"
    assert joined > EPISODES / 5


async def test_stdio_clients_that_cancel_and_repeat_pay_once(tmp_path: Path) -> None:
    chance = random.Random(20261127)
    joined = 0
    async with open_till() as till:
        till.seconds = lambda: chance.choice((0.0, 0.01, 0.04))
        env = environment(till, tmp_path)
        async with raw_host(env=env, seconds=60 + EPISODES) as host:
            await host.initialize("2025-06-18")
            for number in range(EPISODES):
                prompt, heard, intents = f"p{number}x", set[str](), 1
                await host.send(json.dumps(request(prompt, chance.choice((0, 0, 5)), f"a{number}")))
                await asyncio.sleep(chance.uniform(0, 0.07))
                cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": f"a{number}"}}
                await host.send(json.dumps(cancel) + "\n" + json.dumps(request(prompt, 0, f"b{number}")))
                last = ""
                with anyio.fail_after(60):
                    while not last:
                        message = await host.receive()
                        if message.get("id") == f"a{number}":
                            new = ids_in(json.dumps(message), prompt)
                            heard |= new
                            intents += bool(new)
                        elif message.get("id") == f"b{number}":
                            last = json.dumps(message)
                joined += "identical request" in last
                wrong = verdict(till, prompt, heard | ids_in(last, prompt), intents)
                assert not wrong, f"episode {number}: {wrong}"
    assert joined > EPISODES / 5


@pytest.mark.parametrize("end", ["stdin", "term", "kill"])
async def test_a_repeat_from_a_new_process_gets_the_task_of_the_one_before(end: str, tmp_path: Path) -> None:
    """As bridges do that start a process a call."""
    async with open_till() as till:
        till.seconds = lambda: 0.2
        env = environment(till, tmp_path)
        async with raw_host(env=env) as host:
            await host.initialize("2025-06-18")
            await host.send(json.dumps(request("p0x", 45, "a")))
            await till.arrival.wait()
            if end == "kill":
                await asyncio.sleep(0.8)  # the id has arrived and is noted; the call waits for the result
                host.process.kill()
            elif end == "term":
                host.process.send_signal(signal.SIGTERM)
            else:
                assert host.process.stdin is not None
                await host.process.stdin.aclose()
            async with raw_host(env=env) as again:
                await again.initialize("2025-06-18")
                with anyio.fail_after(40):
                    heard = ids_in(json.dumps(await again.call("generate_image", prompt="p0x")), "p0x")
            intents = 1
            with contextlib.suppress(anyio.EndOfStream, anyio.IncompleteRead):
                while True:  # a server that is told to end tells its client the ids it has
                    new = ids_in(json.dumps(await host.receive()), "p0x")
                    heard, intents = heard | new, intents + bool(new)
            assert end != "kill" or intents == 1
            assert not verdict(till, "p0x", heard, intents)


@pytest.mark.parametrize("pad", [0, 200_000])
async def test_a_client_that_cancels_with_a_message_and_leaves_its_stream_open_pays_once(pad: int) -> None:
    async with open_till() as till:
        settings = Settings(base_url=till.url, files_url=till.url, text_url=till.url)
        async with serving(settings, HttpOptions(calls_per_minute=0)) as served:
            first_call = request("p0x", 20, 7)
            first_call["params"]["_meta"] = {"pad": "x" * pad}
            first = asyncio.create_task(stay(served.url, post(first_call, ACCEPTS[0], modern=False)))
            while not till.paid["p0x"]:
                await asyncio.sleep(0.01)
            cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
            await (await leave(served.url, post(cancel, ACCEPTS[0], modern=False), 1))
            last = await stay(served.url, post(request("p0x", 0, 8), ACCEPTS[0], modern=False))
            first.cancel()
            await asyncio.wait([first])
    assert len(till.paid["p0x"]) == 1
    assert ids_in(last, "p0x")


async def test_four_equal_calls_at_once_are_four_purchases_in_little_more_than_the_time_of_one() -> None:
    async with open_till() as till:
        till.seconds = lambda: 0.1
        settings = Settings(base_url=till.url, files_url=till.url, text_url=till.url)
        async with serving(settings, HttpOptions(calls_per_minute=0)) as served:
            wire = post(request("p0x", 5), ACCEPTS[0], modern=False)
            start = asyncio.get_running_loop().time()
            answers = await asyncio.gather(*(stay(served.url, wire) for _ in range(4)))
            assert asyncio.get_running_loop().time() - start < 5 + 3.5
    assert len(till.paid["p0x"]) == 4
    assert len(set[str]().union(*(ids_in(answer, "p0x") for answer in answers))) == 4


def environment(till: Till, folder: Path) -> dict[str, str]:
    """A user's own: results are saved, tasks and purchases are in their history."""
    return {
        "EVOLINK_BASE_URL": till.url,
        "EVOLINK_FILES_URL": till.url,
        "EVOLINK_API_KEY": KEY,
        "EVOLINK_OUTPUT_DIR": str(folder / "out"),
        "EVOLINK_HISTORY": "on",
        "XDG_STATE_HOME": str(folder / "state"),
        "HOME": str(folder),
    }
