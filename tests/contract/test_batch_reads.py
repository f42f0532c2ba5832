"""Many waits under one key: their polls go together, as one batch read, and singly where that cannot be relied on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import Caller, Transport, media, wire
from evolink_mcp.jobs import polls as module
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.polls import SINGLE_SECONDS, Ask, LocalPolls, Poll
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.turns import MAX_READS
from evolink_mcp.jobs.waits import Waits
from tests.support import KEY, FakeClock, Sandbox
from tests.unit.waiting import IMAGE

BATCH, ONE = "/v1/tasks/batch", "/v1/tasks/task-"


async def created(caller: Caller, number: int) -> list[wire.Task]:
    return [await media.create(caller, "image", IMAGE, seconds=10) for _ in range(number)]


async def answers_of(polls: LocalPolls, asks: list[Ask]) -> dict[str, Poll | GatewayError]:
    answers: dict[str, Poll | GatewayError] = {}

    def note(ask: Ask, answer: Poll | GatewayError) -> None:
        assert ask.task_id not in answers
        answers[ask.task_id] = answer

    await polls.poll(asks, seconds=9, note=note)
    assert sorted(answers) == sorted(ask.task_id for ask in asks)
    return answers


def statuses(answers: dict[str, Poll | GatewayError]) -> list[str | int]:
    return [each.task.status if isinstance(each, Poll) else each.status for each in answers.values()]


async def test_tasks_of_one_key_are_read_in_one_request_and_each_is_noticed(caller: Caller, sandbox: Sandbox) -> None:
    tasks = await created(caller, 3)
    sandbox.settle()
    noticed: list[str] = []
    watching = Caller(caller.transport, KEY, notice=lambda _, task: noticed.append(task.id))
    answers = await answers_of(LocalPolls(), [Ask(watching, task.id) for task in tasks])
    assert statuses(answers) == ["completed"] * 3
    assert noticed == [task.id for task in tasks]
    assert len(sandbox.requests(BATCH)) == 1
    assert sandbox.requests(ONE) == []
    assert sandbox.paid() == 3


@pytest.mark.parametrize("many", [1, 3])
async def test_what_is_read_again_is_noticed_only_when_it_says_something_new(
    caller: Caller, sandbox: Sandbox, many: int
) -> None:
    noticed: list[str] = []
    watching = Caller(caller.transport, KEY, notice=lambda _, task: noticed.append(task.status))
    tasks = await created(caller, many)
    asks = [Ask(watching, task.id, previous=await media.read(caller, task.id)) for task in tasks]
    await answers_of(LocalPolls(), asks)
    assert noticed == []
    sandbox.settle()
    await answers_of(LocalPolls(), asks)
    assert noticed == ["completed"] * many


async def test_a_task_that_is_left_out_is_read_on_its_own(caller: Caller, sandbox: Sandbox) -> None:
    (task,) = await created(caller, 1)
    sandbox.settle()
    polls = LocalPolls()
    answers = await answers_of(polls, [Ask(caller, task.id), Ask(caller, "task-unified-1-nobody")])
    assert statuses(answers) == ["completed", 404]
    assert polls.gathers(caller)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 501])
async def test_a_gateway_without_a_batch_read_is_read_singly_for_an_hour(
    caller: Caller, sandbox: Sandbox, status: int
) -> None:
    clock = FakeClock()
    polls = LocalPolls(clock.monotonic)
    sandbox.configure(image_seconds=1000)
    tasks = await created(caller, 2)
    sandbox.fault("batch", "status", status=status, times=0)
    asks = [Ask(caller, task.id) for task in tasks]
    for _ in range(2):
        assert statuses(await answers_of(polls, asks)) == ["pending"] * 2
    assert len(sandbox.requests(BATCH)) == 1
    assert len(sandbox.requests(ONE)) == 4
    sandbox.clear_faults()
    clock.time += SINGLE_SECONDS + 1
    await answers_of(polls, asks)
    assert len(sandbox.requests(BATCH)) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_trouble_of_a_batch_read_counts_for_each_task_and_twice_in_a_row_for_the_route(
    caller: Caller, sandbox: Sandbox, status: int
) -> None:
    sandbox.configure(image_seconds=1000)
    tasks = await created(caller, 2)
    sandbox.fault("batch", "status", status=status, times=0)
    polls, asks = LocalPolls(), [Ask(caller, task.id) for task in tasks]
    for _ in range(2):
        assert statuses(await answers_of(polls, asks)) == [status] * 2
    assert sandbox.requests(ONE) == []
    assert statuses(await answers_of(polls, asks)) == ["pending"] * 2


def whole(ident: str, **more: object) -> dict[str, Any]:
    return {"id": ident, "status": "processing", "progress": 40, "type": "image", "model": "m", **more}


class Odd:
    """A gateway whose batch read answers as a test says."""

    def __init__(
        self,
        batch: Callable[[list[str]], object],
        single: Callable[[str], dict[str, Any]] = whole,
        host: str = "a.test",
    ) -> None:
        self.paths: list[str] = []
        self.batches: list[tuple[str, str, list[str]]] = []

        async def answer(request: httpx2.Request) -> httpx2.Response:
            self.paths.append(request.url.path)
            if request.method == "POST":
                ids = json.loads(await request.aread())["task_ids"]
                self.batches.append((request.url.host, request.headers["authorization"], ids))
                return httpx2.Response(200, json=batch(ids))
            return httpx2.Response(200, json=single(request.url.path.rsplit("/", 1)[-1]))

        self.transport = Transport(f"https://{host}", "https://f.test", over=httpx2.MockTransport(answer))
        self.caller = Caller(self.transport, KEY)


ODD: list[object] = [
    {},
    [],
    {"code": 200},
    {"code": 200, "data": {"a": 1}},
    {"data": [[], "x", {"id": 3}]},
    {"data": [whole("another")]},
    {"data": None},
    {"data": [whole("a"), whole("a"), {"status": "completed"}]},
]


@pytest.mark.parametrize("body", ODD, ids=repr)
async def test_an_answer_that_is_not_as_described_is_made_good_by_single_reads(body: object) -> None:
    odd = Odd(lambda _: body)
    polls = LocalPolls()
    asks = [Ask(odd.caller, each) for each in "abc"]
    assert statuses(await answers_of(polls, asks)) == ["processing"] * 3
    assert not polls.gathers(odd.caller)
    assert statuses(await answers_of(polls, asks)) == ["processing"] * 3
    assert odd.paths.count(BATCH) == 1


async def test_an_end_without_what_came_of_it_is_read_again_before_it_is_told() -> None:
    def bare(ids: list[str]) -> object:
        return {"data": [whole(each, status="completed") for each in ids]}

    def full(ident: str) -> dict[str, Any]:
        return whole(ident, status="completed", results=[f"https://files.example.com/{ident}.png"])

    odd = Odd(bare, full)
    answers = await answers_of(LocalPolls(), [Ask(odd.caller, each) for each in "ab"])
    assert all(isinstance(each, Poll) and each.task.results for each in answers.values())
    assert len(odd.paths) == 3


async def wait(waits: Waits, caller: Caller, task: wire.Task | str, seconds: float = 20) -> wire.Task:
    outcome = await waits.wait_for(caller, task, seconds=seconds, progress=Progress(None))
    return outcome.task


async def test_many_waits_of_one_key_cost_a_request_for_fifty_and_neither_keys_nor_gateways_are_mixed() -> None:
    odds = [
        Odd(lambda ids: {"code": 200, "data": [whole(each) for each in ids]}, host=host)
        for host in ("a.test", "b.test")
    ]
    callers = [odds[0].caller, Caller(odds[0].transport, "sk-other-000000"), odds[1].caller]
    clock = FakeClock()
    waits = Waits(clock, Pauses(clock))
    async with anyio.create_task_group() as group:
        for number, caller in enumerate(callers):
            for task in range(200):
                made = wire.Task(f"task-{number}-{task}", "pending", kind="image", model="m")
                group.start_soon(wait, waits, caller, made)
    assert waits.tasks == 0
    sent = [request for odd in odds for request in odd.batches]
    assert {(host, key, ident.split("-")[1]) for host, key, ids in sent for ident in ids} == {
        ("a.test", f"Bearer {KEY}", "0"),
        ("a.test", "Bearer sk-other-000000", "1"),
        ("b.test", f"Bearer {KEY}", "2"),
    }
    looks = sum(len(ids) for _, _, ids in sent)
    assert looks >= 600 * 3
    assert len(sent) <= looks / 20
    assert [path for odd in odds for path in odd.paths if path != BATCH] == []


async def test_a_key_with_few_tasks_is_read_singly_and_on_time() -> None:
    odd, clock, times = Odd(lambda _: {}), FakeClock(), list[float]()
    waits = Waits(clock, Pauses(clock), lambda low, high: (low + high) / 2)
    began = clock.monotonic()

    def notice(_: Caller, task: wire.Task) -> None:
        times.append(clock.monotonic() - began)

    watching = Caller(odd.transport, KEY, notice=notice)
    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(wait, waits, watching, wire.Task(f"task-{number}", "pending", kind="image"), 4)
    assert times == [pytest.approx(3.0)] * 4
    assert BATCH not in odd.paths


async def test_what_is_remembered_of_gateways_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SINGLE", 3)
    polls = LocalPolls()
    odd = Odd(lambda _: {})
    callers = [Caller(odd.transport, f"sk-{number}") for number in range(3 + 2)]
    for caller in callers:
        await answers_of(polls, [Ask(caller, "a"), Ask(caller, "b")])
    assert [polls.gathers(each) for each in callers] == [True] * 2 + [False] * 3


async def test_reads_beyond_a_bound_queue_for_their_turn() -> None:
    """The connections beyond it are left to what is paid for."""
    under_way, most = 0, 0
    answering = anyio.Event()

    async def slow(request: httpx2.Request) -> httpx2.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await answering.wait()
        under_way -= 1
        return httpx2.Response(200, json=whole(request.url.path.rsplit("/", 1)[-1]))

    transport = Transport("https://a.test", "https://f.test", over=httpx2.MockTransport(slow))
    polls, answers = LocalPolls(), list[Poll | GatewayError]()

    async def read(number: int) -> None:
        ask = Ask(Caller(transport, f"sk-{number}"), f"task-{number}")
        await polls.poll([ask], seconds=4, note=lambda _, answer: answers.append(answer))

    async with anyio.create_task_group() as group:
        for number in range(4 * MAX_READS):
            group.start_soon(read, number)
        await anyio.wait_all_tasks_blocked()
        answering.set()
    assert most == MAX_READS
    assert [each for each in answers if not isinstance(each, Poll)] == []
    assert len(answers) == 4 * MAX_READS


async def test_a_key_whose_reads_hang_delays_no_other() -> None:
    held = anyio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if request.headers["authorization"] == "Bearer sk-hung":
            await held.wait()
        return httpx2.Response(200, json=whole(request.url.path.rsplit("/", 1)[-1]))

    transport = Transport("https://a.test", "https://f.test", over=httpx2.MockTransport(answer))
    polls, answers = LocalPolls(), list[Poll | GatewayError]()

    async def read(key: str, number: int) -> None:
        ask = Ask(Caller(transport, key), f"task-{number}")
        await polls.poll([ask], seconds=9, note=lambda _, answer: answers.append(answer))

    async with anyio.create_task_group() as group:
        for number in range(2 * MAX_READS):
            group.start_soon(read, "sk-hung", number)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(4):
            await read("sk-well", 0)
        assert len(answers) == 1
        held.set()
    assert len(answers) == 2 * MAX_READS + 1
