"""Every line with an id gets an answer on stdio, and a batch gets one for each of its requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from evolink_mcp.guard.complexity import MAX_VALUES, SMALL
from evolink_mcp.sdk.frames import MAX_BATCH, Frames, bounded, invalid_request
from tests.e2e.raw import RawHost, raw_host

INVALID: dict[str, tuple[dict[str, Any] | list[Any], object]] = {
    "no jsonrpc": ({"id": 9, "method": "tools/list"}, 9),
    "jsonrpc 1.0": ({"jsonrpc": "1.0", "id": 9, "method": "ping"}, 9),
    "jsonrpc as a number": ({"jsonrpc": 2.0, "id": "x", "method": "ping"}, "x"),
    "params in a list": ({"jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": []}, 9),
    "params in a text": ({"jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": "x"}, 9),
    "a fraction for an id": ({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, None),
    "a list for an id": ({"jsonrpc": "2.0", "id": [1], "method": "ping"}, None),
    "true for an id": ({"jsonrpc": "2.0", "id": True, "method": "ping"}, None),
    "a long text for an id": ({"jsonrpc": "2.0", "id": "x" * 1001, "method": "ping"}, None),
    "a long number for an id": ({"jsonrpc": "2.0", "id": 10**300, "method": "ping"}, None),
    "an id in a line of megabytes": ({"jsonrpc": "2.0", "id": "x" * 2_000_000, "method": "ping"}, None),
    "more values than are read": ({"jsonrpc": "2.0", "id": 9, "method": "ping", "params": {"a": [{}] * 40_000}}, 9),
    "a number for a method": ({"jsonrpc": "2.0", "id": 9, "method": 5}, 9),
    "nothing but an id": ({"jsonrpc": "2.0", "id": 9}, 9),
    "an empty batch": ([], None),
    "an endless batch": ([{"jsonrpc": "2.0", "id": 1, "method": "ping"}] * (MAX_BATCH + 1), None),
}


@pytest.mark.parametrize("version", ["2025-03-26", "2025-11-25"])
async def test_what_is_no_message_is_answered_as_an_invalid_request(version: str) -> None:
    async with raw_host() as host:
        await host.initialize(version)
        for title, (frame, request_id) in INVALID.items():
            await host.send(json.dumps(frame))
            answer = await host.receive()
            assert (title, answer["error"]["code"], answer["id"]) == (title, -32600, request_id)
        assert "result" in await host.request("ping")


async def test_params_of_null_are_none_and_a_byte_order_mark_is_nothing() -> None:
    async with raw_host() as host:
        await host.initialize()
        for method in ("ping", "tools/list"):
            await host.send("\ufeff" + json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": None}))
            assert "result" in await host.receive()


async def receive_batch(host: RawHost) -> list[dict[str, Any]]:
    batch = await host.receive_json()
    assert isinstance(batch, list)
    return cast("list[dict[str, Any]]", batch)


async def test_a_batch_is_answered_in_one_line_and_its_notifications_are_heard() -> None:
    async with raw_host() as host:
        await host.initialize("2025-03-26")
        call = {"name": "list_models", "arguments": {"query": "mask"}}
        await host.send(
            json.dumps(
                [
                    {"jsonrpc": "2.0", "id": "a", "method": "ping"},
                    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 77}},
                    {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": call},
                    {"jsonrpc": "2.0", "id": 6, "method": "no/such"},
                ]
            )
        )
        answers = {answer["id"]: answer for answer in await receive_batch(host)}
        assert answers["a"]["result"] == {}
        assert "Next: " in answers[5]["result"]["content"][0]["text"]
        assert answers[6]["error"]["code"] == -32601
        await host.send(json.dumps([{"jsonrpc": "2.0", "id": 7, "method": "ping"}]))
        assert [answer["id"] for answer in await receive_batch(host)] == [7]
        await host.send(json.dumps([{"jsonrpc": "2.0", "method": "notifications/initialized"}]))
        assert (await host.request("ping"))["result"] == {}


async def test_what_is_wrong_in_a_batch_does_not_hold_up_the_rest() -> None:
    async with raw_host() as host:
        await host.initialize("2025-03-26")
        await host.send(json.dumps([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"id": 2, "method": "ping"}, 3]))
        lines = [await host.receive_json() for _ in range(3)]
        assert [{"jsonrpc": "2.0", "id": 1, "result": {}}] in lines
        assert sorted(str(line["id"]) for line in lines if "error" in line) == ["2", "None"]


async def test_other_answers_pass_while_a_batch_is_incomplete() -> None:
    frames = Frames()

    async def lines() -> AsyncIterator[str]:
        yield '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]'

    assert [json.loads(line)["id"] async for line in frames.split(lines())] == [1, 2]
    assert frames.join("two\n", "2") == ("", [])
    assert frames.join("other\n", "3") == ("other\n", ["other\n"])
    assert frames.join("note\n", None) == ("note\n", ["note\n"])
    assert frames.join("one\n", "1") == ("[two,one]\n", ["two", "one"])
    assert frames.join("one\n", "1") == ("one\n", ["one\n"])


async def test_a_batch_does_not_wait_for_what_its_client_cancelled() -> None:
    frames = Frames()
    lines = [
        '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":"b","method":"ping"}]',
        '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
        '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}',
        '[{"jsonrpc":"2.0","id":3,"method":"ping"},'
        '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}]',
    ]

    async def read() -> AsyncIterator[str]:
        for line in lines:
            yield line

    answers = [answer for line in [each async for each in frames.split(read())] if (answer := invalid_request(line))]
    assert [answer.id for answer in answers] == [1, 3]
    first, third = (f"{answer.model_dump_json(by_alias=True, exclude_unset=True)}\n" for answer in answers)
    assert frames.join("two\n", '"b"') == ("", [])
    assert frames.join(first, "1") == ("[two]\n", ["two"])
    assert frames.join(third, "3") == ("", [])
    assert frames.join("late\n", "1") == ("late\n", ["late\n"])


async def test_an_answer_that_its_cancel_comes_too_late_for_is_sent_once() -> None:
    frames = Frames()

    async def read() -> AsyncIterator[str]:
        yield '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]'
        yield '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'

    [answer] = [answer for line in [each async for each in frames.split(read())] if (answer := invalid_request(line))]
    assert frames.join("one\n", "1") == ("", [])
    assert frames.join(f"{answer.model_dump_json(by_alias=True, exclude_unset=True)}\n", "1") == ("", [])
    assert frames.join("two\n", "2") == ("[one,two]\n", ["one", "two"])


@pytest.mark.parametrize(
    "line", ["\x1e", "\x1d", "\x1e{", "\x1c{}", '\x1d{"id":5}', '{"id":"\\ud800"}', '\x1d{"id":"\\ud800"}']
)
async def test_a_line_that_begins_like_ours_or_has_half_a_character_for_an_id_ends_nothing(line: str) -> None:
    async with raw_host() as host:
        await host.initialize("2025-03-26")
        await host.send(line)
        assert (await host.receive())["error"]["code"] in (-32700, -32600)
        assert "result" in await host.request("ping")


async def test_a_request_whose_id_cannot_be_sent_back_does_not_hold_up_its_batch() -> None:
    async with raw_host() as host:
        await host.initialize("2025-03-26")
        await host.send(json.dumps([{"jsonrpc": "2.0", "id": each, "method": "ping"} for each in ("\ud800", 5)]))
        lines = [await host.receive_json() for _ in range(2)]
    assert [{"jsonrpc": "2.0", "id": 5, "result": {}}] in lines
    assert [line["error"]["code"] for line in lines if "error" in line] == [-32600]


LONG = "1" * 5000  # more digits than Python reads
UNREADABLE: dict[str, tuple[str, object]] = {
    "a long number": (f'{{"jsonrpc":"2.0","id":9,"method":"ping","params":{{"n":{LONG}}}}}', 9),
    "an id at the end": (f'{{"method":"ping","params":{{"id":1,"n":{LONG}}},"jsonrpc":"2.0","id":"x"}}', "x"),
    "many brackets": (f'{{"jsonrpc":"2.0","id":9,"method":"ping","params":{"[" * 5000}{"]" * 5000}}}', 9),
    "no end": ('{"jsonrpc":"2.0","id":9,"method":"ping"', 9),
    "a text without an end": ('{"jsonrpc":"2.0","id":9,"method":"pi\\', 9),
    "a missing comma": ('{"jsonrpc":"2.0","id":9 "method":"ping"}', 9),
    "a quoted id": (f'{{"x":"\\"id\\":3","n":{LONG}}}', None),
    "an inner id": (f'{{"params":{{"id":3}},"n":{LONG}}}', None),
    "an id that is a long number": (f'{{"jsonrpc":"2.0","id":{LONG},"method":"ping"}}', None),
    "half an id": ('{"jsonrpc":"2.0","id":"9', None),
}


async def test_what_cannot_be_read_is_answered_to_the_id_in_plain_sight_also_in_a_batch() -> None:
    async with raw_host() as host:
        await host.initialize("2025-03-26")
        for title, (line, request_id) in UNREADABLE.items():
            await host.send(line)
            answer = await host.receive()
            assert (title, answer["error"]["code"], answer["id"]) == (title, -32700, request_id)
        await host.send(f'[{{"jsonrpc":"2.0","id":1,"method":"ping"}}, {UNREADABLE["a long number"][0]}]')
        lines = [await host.receive_json() for _ in range(2)]
        assert [{"jsonrpc": "2.0", "id": 1, "result": {}}] in lines
        assert [line["id"] for line in lines if "error" in line] == [9]
        await host.send(f"[{LONG}")
        assert (await host.receive())["id"] is None


EXCESSIVE = {
    "many values": f'{{"jsonrpc":"2.0","id":9,"method":"ping","params":{{"a":[{"{}," * MAX_VALUES * 8}{{}}]}}}}',
    "many brackets": f'{{"jsonrpc":"2.0","id":9,"method":"ping","params":{{"a":{"[" * SMALL}{"]" * SMALL}}}}}',
    "long numbers": f'{{"jsonrpc":"2.0","id":9,"method":"ping","params":{{"a":[{",".join([LONG[:4000]] * 30)}]}}}}',
    "a batch": f"[{','.join(['[]'] * SMALL)}]",
    "no JSON": '{"id":9,' + "[" * SMALL,
}


@pytest.mark.parametrize("title", EXCESSIVE)
async def test_a_line_that_would_hold_everybody_up_is_not_read(title: str) -> None:
    frames, line = Frames(), EXCESSIVE[title]

    async def lines() -> AsyncIterator[str]:
        for each in bounded([line]):
            yield each

    [stand_in] = [each async for each in frames.split(lines())]
    answer = invalid_request(stand_in)
    assert answer is not None
    assert answer.id == (None if title == "a batch" else 9)
    assert "nothing was done. A message may hold 5,000 values" in answer.error.message


@pytest.mark.parametrize("text", ["[{," * SMALL, '\\"[' * SMALL, "9" * SMALL], ids=lambda text: text[:3])
def test_what_stands_in_a_text_is_no_reason_not_to_read_a_line(text: str) -> None:
    line = json.dumps({"jsonrpc": "2.0", "id": 9, "method": "ping", "params": {"a": text}})
    assert list(bounded([line])) == [line]


async def test_a_number_and_its_digits_are_two_requests() -> None:
    frames = Frames()

    async def lines() -> AsyncIterator[str]:
        yield '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":"1","method":"ping"}]'

    assert [json.loads(line)["id"] async for line in frames.split(lines())] == [1, "1"]
    assert frames.unanswered == {"1", '"1"'}
    assert frames.join("one\n", "1") == ("", [])
    assert frames.join("two\n", '"1"') == ("[one,two]\n", ["one", "two"])
    assert frames.unanswered == set()


async def test_a_cancel_may_name_a_number_by_its_digits() -> None:
    """As the SDK takes it."""
    frames = Frames()

    async def read() -> AsyncIterator[str]:
        yield '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]'
        yield '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"1"}}'

    [answer] = [answer for line in [each async for each in frames.split(read())] if (answer := invalid_request(line))]
    assert answer.id == 1
    assert frames.unanswered == {"2"}
    assert frames.join(f"{answer.model_dump_json(by_alias=True, exclude_unset=True)}\n", "1") == ("", [])
    assert frames.join("two\n", "2") == ("[two]\n", ["two"])
