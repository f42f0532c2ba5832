"""No request of a caller, however it is made, holds up those of others: the longest turn of the event loop is short.

Measured as processor time, so that a busy machine proves nothing. Each of these once took a second and more, or comes
near what a turn may take.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from asyncio.events import Handle
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from evolink_mcp.transports.http.options import HttpOptions
from tests.serving import ACCEPT, bearer, on, serving
from tests.support import Sandbox

MAX_SECONDS = 0.3  # 0.1 s on a machine by itself, where nothing counts the lines that are run
SIZE = 4_000_000
LIKE_A_NAME = {f"image_ur{number}": 1 for number in range(4_900)}


def message(method: str, **params: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def call(name: str, **arguments: object) -> dict[str, Any]:
    return message("tools/call", name=name, arguments=arguments)


BODIES: dict[str, object] = {
    "a prompt of a million lines": call("generate_image", prompt="a\n" * (SIZE // 3)),
    "a prompt of escapes": call("generate_image", prompt="\u2028" * (SIZE // 6)),
    "a prompt of quotes": call("generate_image", prompt='\\"' * (SIZE // 5)),
    "arguments like a known one": call("generate_image", **LIKE_A_NAME),
    "options like a known one": call("generate_image", prompt="a", options=LIKE_A_NAME),
    "a query of many words": call("list_models", query="word " * (SIZE // 5)),
    "a model of many words": call("list_models", model="--ar " * 39_000),
    "a long model": call("list_models", model="gpt-image-" * (SIZE // 10)),
    "a long task id": call("check_task", task_id="sk-" * (SIZE // 3)),
    "a long method": message("m" * SIZE),
    "a long id": {**call("list_models"), "id": "i" * SIZE},
    "many searches": [call("list_models", query=f"wish {number} 20 seconds vertical") for number in range(50)],
}


@pytest.fixture
def own_heap() -> Iterator[None]:
    """Leaves what thousands of tests before have made to no collection: a server does not have it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("own_heap")
async def test_no_request_holds_the_event_loop(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = [0.0]
    run = Handle._run

    def measured(handle: Handle) -> None:
        start = time.thread_time()
        run(handle)
        longest[0] = max(longest[0], time.thread_time() - start)

    contents = {name: json.dumps(body).encode() for name, body in BODIES.items()}
    async with (
        serving(on(sandbox), HttpOptions(calls_per_minute=0)) as served,
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
    ):
        usual = (call("list_models", query="a kite"), call("generate_image", prompt="a"), call("check_task"))
        for body in usual:  # loads what it needs
            await http.post(f"{served.url}/mcp", json=body, headers=ACCEPT | bearer("k" * 20))
        turns: dict[str, float] = {}
        for name, content in contents.items():
            longest[0] = 0.0
            with monkeypatch.context() as patch:
                patch.setattr(Handle, "_run", measured)
                secret = f"{name.replace(' ', '-')}-{'s' * 400}"
                await http.post(f"{served.url}/mcp", content=content, headers=ACCEPT | bearer(secret))
                await asyncio.sleep(0)
            turns[name] = longest[0]
    assert not {name: seconds for name, seconds in turns.items() if seconds >= MAX_SECONDS}
