"""No request of a caller, however it is made, holds up those of others: the longest turn of the event loop is short.

Measured as processor time, so that a busy machine proves nothing. Each of these once took a second and more, or comes
near what a turn may take.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from functools import partial
from typing import Any

import httpx2

from evolink_mcp.transports.http.options import HttpOptions
from tests.serving import ACCEPT, bearer, on, serving
from tests.support import Sandbox
from tests.turns import MAX_SECONDS, longest_turn, own_heap

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
    "an argument of a long name": call("list_models", **{"\u0130" * (SIZE // 6): 1}),
    "a prompt of ampersands": message("prompts/get", name="make-image", arguments={"idea": "&amp;" * (SIZE // 5)}),
    "a completion of a long text": message(
        "completion/complete",
        ref={"type": "ref/prompt", "name": "make-image"},
        argument={"name": "model", "value": "\u0130" * (SIZE // 6)},
    ),
    "a completion of a long recipe": message(
        "completion/complete",
        ref={"type": "ref/prompt", "name": "make-image"},
        argument={"name": "recipe", "value": "\u0130" * (SIZE // 6)},
    ),
    "many searches": [call("list_models", query=f"wish {number} 20 seconds vertical") for number in range(50)],
}

RAW = {
    "blanks before no JSON": b" " * SIZE + b"x",
    "many words that are no JSON": b'{"a":1 ' + b"x " * (SIZE // 2),
    "a text of other letters": json.dumps(
        call("generate_text", prompt="\u0130" * (SIZE // 2)), ensure_ascii=False
    ).encode(),
    "numbers of many digits": b'{"a":[' + b",".join([b"9" * 4_200] * 900) + b"]}",
}
USUAL = (
    call("list_models", query="a kite"),
    call("list_models", model="gpt-image-1.5"),
    call("list_models", model="a kite"),
    call("generate_image", prompt="a"),
    call("check_task"),
    call("generate_text", prompt="a"),
    message("prompts/get", name="make-image", arguments={"idea": "a kite"}),
)


async def test_no_request_holds_the_event_loop(sandbox: Sandbox) -> None:
    contents = {name: json.dumps(body).encode() for name, body in BODIES.items()} | RAW
    async with (
        serving(on(sandbox, toolsets=("media", "text")), HttpOptions(calls_per_minute=0)) as served,
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
    ):

        def post(content: bytes, secret: str) -> Awaitable[httpx2.Response]:
            return http.post(f"{served.url}/mcp", content=content, headers=ACCEPT | bearer(secret))

        for body in USUAL:  # loads what it needs
            await post(json.dumps(body).encode(), "k" * 20)
        turns: dict[str, float] = {}
        with own_heap():
            for name, content in contents.items():
                secret = f"{name.replace(' ', '-')}-{'s' * 400}"
                turns[name] = await longest_turn(partial(post, content, secret))
    assert not {name: seconds for name, seconds in turns.items() if seconds >= MAX_SECONDS}
