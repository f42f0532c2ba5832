"""generate_text: the dialect of the quick start, streamed or not, and the rules about money."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client import Client

from evolink_mcp.errors import GatewayRefused, OutcomeUnknown
from evolink_mcp.gateway import Caller, Transport, text, transport
from evolink_mcp.jobs import progress
from evolink_mcp.jobs.ledger import KEEP_SECONDS
from evolink_mcp.jobs.texts import TextOrder
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import KEY, NO_REQUEST, FakeClock, Sandbox, offered_tools, ok, refused, text_of

Connect = Callable[..., Client]
ASK: dict[str, Any] = {"prompt": "Introduce EvoLink in three sentences"}
BODY: dict[str, object] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, toolsets=("text",))


@pytest.fixture(autouse=True)
def quick_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MIN_GAP_SECONDS", 0.01)


def posts(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sandbox.requests("/v1/messages")


async def test_a_prompt_is_answered_with_text_reason_and_usage(client: Client, sandbox: Sandbox) -> None:
    result = await client.call_tool("generate_text", ASK)
    told = result.structured_content
    assert "5 words in turn 1: “Introduce EvoLink in three sentences”" in told["text"]
    assert (told["status"], told["stop_reason"], told["truncated"]) == ("completed", "end_turn", False)
    assert (told["model"], told["usage"]["input_tokens"]) == ("claude-sonnet-4-5-20250929", 9)
    shown = text_of(result)
    for part in (
        told["text"],
        told["model"],
        "end_turn",
        "9 tokens in",
        f"{told['usage']['output_tokens']} tokens out",
    ):
        assert part in shown
    (request,) = posts(sandbox)
    assert request["json"] == {
        "model": "claude-sonnet-4-5-20250929",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": ASK["prompt"]}],
        "stream": True,
    }


async def test_a_conversation_and_every_option_go_out_as_given(client: Client, sandbox: Sandbox) -> None:
    turns = [
        {"role": "user", "content": "a b"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    options = {"system": "Be brief", "temperature": 0.5, "stop_sequences": ["turn"], "max_tokens": 50}
    told = await ok(client, "generate_text", messages=turns, model="another", **options)
    assert told["stop_reason"] == "stop_sequence"
    assert told["text"] == "The sandbox read 1 words in "
    assert "'turn'" in told["notes"][0]
    (request,) = posts(sandbox)
    assert request["json"] == {"model": "another", "messages": turns, **options, "stream": True}


async def test_a_text_that_was_cut_says_so(client: Client) -> None:
    told = await ok(client, "generate_text", **ASK, max_tokens=5)
    assert (told["stop_reason"], told["truncated"], len(told["text"])) == ("max_tokens", True, 20)
    assert "cut at max_tokens (5)" in told["notes"][0]
    assert "charged" in told["next_step"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"prompt": ""},
        {"prompt": " \n"},
        {"messages": []},
        {**ASK, "messages": [{"role": "user", "content": "x"}]},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x", "more": 1}]},
        {"messages": ["x"]},
        {"prompt": "\ud800"},
        {**ASK, "max_tokens": -1},
        {**ASK, "temperature": -1},
        {**ASK, "tokens": 5},
    ],
)
async def test_what_cannot_be_meant_is_refused_unsent(app: App, sandbox: Sandbox, arguments: dict[str, Any]) -> None:
    (tool,) = offered_tools(app)
    result = await tool.run(arguments, NO_REQUEST)
    assert result.is_error
    assert "Charged: no." in result.content[0].text
    assert posts(sandbox) == []


async def test_progress_tells_how_long_the_text_is(settings: Settings, sandbox: Sandbox, connect: Connect) -> None:
    messages: list[str] = []
    values: list[float] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        values.append(progress)
        messages.append(message or "")

    sandbox.fault("text", "trickle", delay=0.0005)
    async with connect(App(settings)) as client:
        await client.call_tool("generate_text", ASK, progress_callback=told)
    lengths = [int(each.split()[1]) for each in messages if each.startswith("writing: ")]
    assert len(set(lengths)) > 2
    assert lengths == sorted(lengths)
    assert values == sorted(set(values))
    assert values[-1] == 100


# What the gateway may answer, spoken by a transport of httpx's own making.


def event(kind: str, **facts: object) -> str:
    return f"event: {kind}\r\ndata: {json.dumps({'type': kind, **facts})}\r\n\r\n"


STREAM = [
    event("message_start", message={"model": "m-1", "usage": {"input_tokens": 3, "output_tokens": 1}}),
    event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
    event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}),
    event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
    ": a comment\n\ndata: not json\n\n",
    event("content_block_delta", index=1, delta={"type": "text_delta", "text": "Grüße \ud83d"}),
    event("ping"),
    event("content_block_delta", index=1, delta={"type": "text_delta", "text": "\ude00."}),
    event("something_new", whatever=1),
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7}),
    event("message_stop"),
]


def answering(
    pieces: list[bytes],
    kind: str = "text/event-stream",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> httpx2.MockTransport:
    async def body() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    told = {"content-type": kind, **(headers or {})}
    return httpx2.MockTransport(lambda _: httpx2.Response(status, headers=told, content=body()))


@pytest.fixture
async def written() -> AsyncIterator[Callable[..., Any]]:
    """Asks for a text where the gateway answers with given pieces."""
    transports: list[Transport] = []

    async def ask(pieces: list[bytes], **more: Any) -> text.Message:
        made = Transport("https://a.test", "https://f.test", "https://t.test", over=answering(pieces, **more))
        transports.append(made)
        return await text.create(Caller(made, KEY), BODY, seconds=5)

    yield ask
    for made in transports:
        await made.aclose()


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
async def test_a_stream_is_put_together_wherever_it_is_cut(written: Callable[..., Any], size: int) -> None:
    raw = "".join(STREAM).encode()
    message = await written([raw[place : place + size] for place in range(0, len(raw), size)])
    assert message == text.Message(
        text="Grüße 😀.", model="m-1", stop_reason="end_turn", input_tokens=3, output_tokens=7, other=("thinking",)
    )


async def test_a_stream_without_its_last_event_is_whole_if_it_says_why_it_stopped(written: Callable[..., Any]) -> None:
    assert (await written(["".join(STREAM[:-1]).encode()])).stop_reason == "end_turn"


async def test_what_comes_after_the_last_event_is_not_waited_for(written: Callable[..., Any]) -> None:
    assert (await written(["".join(STREAM).encode(), event("error", error={"message": "late"}).encode()])).text


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (STREAM[:6], "stopped before its end. The text had 7 characters by then."),
        ([*STREAM[:4], event("error", error={"type": "overloaded_error", "message": "Busy"})], "t.test failed while"),
        ([], "stopped before its end"),
        ([event("message_stop"), ""], ""),
    ],
)
async def test_a_stream_that_breaks_off_is_an_unknown_outcome(
    written: Callable[..., Any], pieces: list[str], said: str
) -> None:
    if not said:
        assert (await written(["".join(pieces).encode()])).text == ""
        return
    with pytest.raises(OutcomeUnknown) as raised:
        await written(["".join(pieces).encode()])
    assert said in raised.value.what
    assert raised.value.charged == "unknown"
    assert raised.value.partial == ("Grüße \ufffd" if len(pieces) == 6 else "")


async def test_all_that_came_of_a_broken_stream_is_handed_over(written: Callable[..., Any]) -> None:
    words = [event("content_block_delta", index=0, delta={"text": f"word {number} "}) for number in range(200)]
    with pytest.raises(OutcomeUnknown) as raised:
        await written([*map(str.encode, words)])
    assert raised.value.partial.startswith("word 0 word 1 ")
    assert raised.value.partial.endswith("word 199 ")
    shown = raised.value.render(paid=True)
    assert shown.endswith(f"What had come of the text:\n{raised.value.partial}")
    assert "Charged: unknown." in shown


async def test_a_stream_may_be_larger_than_a_json_answer(
    written: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER", 20)
    assert (await written([piece.encode() for piece in STREAM])).text == "Grüße 😀."


async def test_a_stream_without_an_end_is_cut_off_and_handed_over(
    written: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_STREAM", 600)
    words = [event("content_block_delta", index=0, delta={"text": "word "}).encode() for _ in range(50)]
    with pytest.raises(OutcomeUnknown) as raised:
        await written(words)
    assert raised.value.code == "too_long"
    assert raised.value.partial.startswith("word word ")


@pytest.mark.parametrize("headers", [{}, {"request-id": "req_1"}])
async def test_the_request_id_of_the_dialect_is_told(written: Callable[..., Any], headers: dict[str, str]) -> None:
    raw = {"type": "error", "error": {"type": "invalid_request_error", "message": "Bad"}}
    body = json.dumps(raw if headers else {**raw, "request_id": "req_1"}).encode()
    with pytest.raises(GatewayRefused) as raised:
        await written([body], kind="application/json", status=400, headers=headers)
    assert raised.value.request_id == "req_1"
    broken = event("error", error={"type": "api_error", "message": "Odd"}, request_id="req_2").encode()
    with pytest.raises(OutcomeUnknown) as lost:
        await written([broken], headers=headers)
    assert lost.value.request_id == ("req_1" if headers else "req_2")


async def test_a_model_that_does_not_exist_is_named_as_the_cause(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("text", "status", status=404, message="no such model")
    assert "Next: Check model" in await refused(client, "generate_text", **ASK, model="nothing")


@pytest.mark.parametrize(
    ("reason", "truncated", "note", "step"),
    [
        ("refusal", True, "refused", "Tell the user that the model refused"),
        ("model_context_window_exceeded", True, "not complete", "shorter conversation"),
        (None, None, "did not say why", "that the text is complete"),
        ("end_turn", False, "", "Give the user the text"),
    ],
)
async def test_why_a_text_stopped_decides_what_to_do(
    client: Client, sandbox: Sandbox, reason: str | None, truncated: bool | None, note: str, step: str
) -> None:
    body = {"type": "message", "content": [{"type": "text", "text": "I can"}], "stop_reason": reason}
    sandbox.fault("text", "status", status=200, body=body)
    told = await ok(client, "generate_text", **ASK)
    assert told.get("truncated") is truncated
    assert note in " ".join(told.get("notes", []))
    assert bool(told.get("notes")) is bool(note)
    assert step in told["next_step"]


async def test_plain_json_is_taken_too(written: Callable[..., Any]) -> None:
    raw = b"""{"id": "msg_1", "type": "message", "model": "m-2", "stop_reason": "max_tokens",
        "content": [{"type": "text", "text": "One, "}, {"type": "tool_use"}, {"type": "text", "text": "two"}],
        "usage": {"input_tokens": 1, "output_tokens": 2}}"""
    message = await written([raw], kind="application/json")
    assert (message.text, message.stop_reason, message.other) == ("One, two", "max_tokens", ("tool_use",))


@pytest.mark.parametrize(
    ("raw", "status", "kind", "code"),
    [
        (b'{"type":"error","error":{"type":"invalid_request_error","message":"Bad"}}', 400, GatewayRefused, "invalid"),
        (b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow"}}', 429, GatewayRefused, "rate_limit"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}', 529, OutcomeUnknown, "overloaded"),
        (b'{"type":"error","error":{"type":"api_error","message":"Odd"}}', 200, OutcomeUnknown, "api_error"),
        (b'{"ok": true}', 200, OutcomeUnknown, "no_text"),
        (b"<html>", 502, OutcomeUnknown, "502"),
    ],
)
async def test_errors_of_the_dialect_are_understood(
    written: Callable[..., Any], raw: bytes, status: int, kind: type[Exception], code: str
) -> None:
    with pytest.raises(kind) as raised:
        await written([raw], kind="application/json", status=status)
    assert raised.value.code.startswith(code)  # type: ignore[attr-defined]
    assert raised.value.charged == ("no" if kind is GatewayRefused else "unknown")  # type: ignore[attr-defined]


# Money, over real sockets.


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "stall", "seconds": 0},
        {"kind": "stream_error"},
        {"kind": "garbage", "created": True},
        {"kind": "empty"},
        {"kind": "html", "status": 502},
        {"kind": "status", "status": 500, "created": True},
    ],
)
async def test_a_text_that_may_have_been_written_is_unknown_and_not_repeated(
    client: Client, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    sandbox.fault("text", **fault)
    said = await refused(client, "generate_text", **ASK)
    assert "Charged: unknown." in said
    assert "Do not call again blindly" in said
    assert ("What had come of the text:\nThe sandbox read" in said) is (fault["kind"] in ("stall", "stream_error"))
    assert len(posts(sandbox)) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
async def test_a_refusal_is_not_charged(client: Client, sandbox: Sandbox, status: int) -> None:
    sandbox.fault("text", "status", status=status, message="No.")
    said = await refused(client, "generate_text", **ASK)
    assert "Charged: no." in said
    assert "No." in said
    assert len(posts(sandbox)) == 1


async def test_a_429_is_sent_again_once(client: Client, sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.fault("text", "status", status=429, retry_after=1)
    assert (await ok(client, "generate_text", **ASK))["text"]
    assert len(posts(sandbox)) == 2
    assert sum(clock.slept) == pytest.approx(1, abs=0.1)


async def cancelled(client: Client, sandbox: Sandbox, **arguments: Any) -> None:
    """Calls generate_text and goes away as soon as the gateway has the request."""
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "generate_text", arguments)
        with anyio.fail_after(10):
            while not posts(sandbox):
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("done", [True, False])
async def test_a_cancel_loses_no_text(client: Client, sandbox: Sandbox, app: App, done: bool) -> None:
    sandbox.fault("text", "slow", delay=0.3)
    await cancelled(client, sandbox, **ASK)
    if done:
        await app.purchases.drain(5)
    again = await ok(client, "generate_text", **ASK)
    assert again["text"].startswith("The sandbox read 5 words")
    assert any("identical request" in note for note in again["notes"])
    assert len(posts(sandbox)) == 1
    fresh = await ok(client, "generate_text", **ASK)
    assert "notes" not in fresh
    assert len(posts(sandbox)) == 2


async def test_an_undelivered_text_is_forgotten_after_ten_minutes(
    client: Client, sandbox: Sandbox, app: App, clock: FakeClock
) -> None:
    sandbox.fault("text", "slow", delay=0.1)
    await cancelled(client, sandbox, **ASK)
    await app.purchases.drain(5)
    clock.time += KEEP_SECONDS + 1
    await ok(client, "generate_text", **ASK)
    assert len(posts(sandbox)) == 2


async def test_a_long_text_outlives_its_call_and_is_fetched_with_the_same_arguments(
    settings: Settings, sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App(settings)
    started = app.clock.monotonic()
    sandbox.fault("text", "slow", delay=1)
    async with connect(app) as client:
        with monkeypatch.context() as patched:
            patched.setattr("evolink_mcp.tools.text.SUBMIT_SECONDS", 0.4)
            first = await ok(client, "generate_text", **ASK)
        assert first["status"] == "processing"
        assert "same arguments" in first["next_step"]
        assert "while this server keeps running" in first["next_step"]
        assert app.clock.monotonic() - started < 5
        again = await ok(client, "generate_text", **ASK)
    assert again["status"] == "completed"
    assert again["text"]
    assert len(posts(sandbox)) == 1


async def test_a_joined_text_tells_its_length_to_whoever_waits_now(
    client: Client, settings: Settings, sandbox: Sandbox, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's stream goes on only as the test lets it."""
    grow, going = anyio.Event(), anyio.Event()

    async def create(caller: Caller, body: object, *, on_growth: text.OnGrowth | None = None, **_: Any) -> text.Message:
        assert on_growth is not None
        on_growth(5)
        going.set()
        await grow.wait()
        on_growth(500)
        return text.Message("x" * 500, stop_reason="end_turn")

    monkeypatch.setattr(text, "create", create)
    mine: list[int] = []
    again: list[int] = []
    caller = Caller(app.transport, KEY)

    async def first() -> None:
        async with app.purchases.buy(TextOrder(caller, BODY), on_growth=mine.append):
            raise AssertionError("it was cancelled")

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await going.wait()
            group.cancel_scope.cancel()

        async def second() -> None:
            async with app.purchases.buy(TextOrder(caller, BODY), on_growth=again.append) as bought:
                assert bought.is_earlier

        async with anyio.create_task_group() as group:
            group.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            grow.set()
    assert (mine, again) == ([5], [500])


async def test_a_text_that_broke_unheard_is_handed_over_with_the_repeat(
    client: Client, sandbox: Sandbox, app: App
) -> None:
    sandbox.fault("text", "stall", seconds=0.3)
    await cancelled(client, sandbox, **ASK)
    await app.purchases.drain(5)
    assert "What had come of the text:" in await refused(client, "generate_text", **ASK)
    assert len(posts(sandbox)) == 1


async def test_without_a_key_nothing_is_sent(settings: Settings, sandbox: Sandbox, connect: Connect) -> None:
    async with connect(App(replace(settings, api_key=None))) as client:
        said = await refused(client, "generate_text", **ASK)
    assert "[missing_api_key]" in said
    assert "Charged: no." in said
    assert posts(sandbox) == []
