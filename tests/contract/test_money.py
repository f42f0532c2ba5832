"""Paid once, told the truth: every drill over real sockets, held against the sandbox's ledger of paid tasks."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.errors import Refused
from evolink_mcp.gateway import Caller, Transport
from evolink_mcp.jobs.ledger import KEEP_SECONDS, owner_of
from evolink_mcp.jobs.pauses import MAX_WAITING, Pauses
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import KEY, FakeClock, Sandbox, ok, refused, text_of

Connect = Callable[..., Client]
CALL: dict[str, Any] = {"prompt": "a red kite", "model": "gpt-image-2"}


def posts(sandbox: Sandbox) -> int:
    return len(sandbox.requests("/v1/images/generations"))


def ids(sandbox: Sandbox) -> list[str]:
    return [task["id"] for task in sandbox.ledger()["tasks"]]


@pytest.mark.parametrize("fault", ["drop_after", "no_id"])
async def test_a_lost_answer_is_unknown_and_its_task_is_named(client: Client, sandbox: Sandbox, fault: str) -> None:
    sandbox.fault("images", fault)
    text = await refused(client, "generate_image", **CALL)
    assert "Charged: unknown." in text
    assert (posts(sandbox), sandbox.paid()) == (1, 1)
    assert f"Task {ids(sandbox)[0]}, created just then, is probably yours" in text
    assert "Do not submit again" in text


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "html", "status": 502}])
@pytest.mark.parametrize("created", [True, False])
async def test_a_5xx_is_neither_repeated_nor_called_free(
    client: Client, sandbox: Sandbox, fault: dict[str, Any], created: bool
) -> None:
    sandbox.fault("images", created=created, **fault)
    text = await refused(client, "generate_image", **CALL)
    assert "Charged: unknown." in text
    assert (posts(sandbox), sandbox.paid()) == (1, int(created))
    assert ("probably yours" in text) is created
    assert ("probably none was created" in text) is not created


async def test_tasks_that_were_there_before_are_not_taken_for_it(
    client: Client, sandbox: Sandbox, clock: FakeClock, settings: Settings, connect: Connect
) -> None:
    async with connect(App(settings, clock=clock)) as elsewhere:
        await ok(elsewhere, "generate_image", **CALL)
        await clock.sleep(120)
        other = await ok(elsewhere, "generate_image", prompt="x", model="gpt-4o-image")
    sandbox.fault("images", "drop_before")
    text = await refused(client, "generate_image", **CALL)
    assert "probably none was created" in text
    assert other["task_id"] not in text


async def test_several_candidates_are_all_named(
    client: Client, sandbox: Sandbox, settings: Settings, connect: Connect, clock: FakeClock
) -> None:
    async with connect(App(settings, clock=clock)) as elsewhere:
        await ok(elsewhere, "generate_image", **CALL)
    sandbox.fault("images", "drop_after")
    text = await refused(client, "generate_image", **CALL)
    assert "Several tasks" in text
    assert all(task_id in text for task_id in ids(sandbox))


async def test_a_task_known_to_this_server_is_no_candidate(client: Client, sandbox: Sandbox) -> None:
    known = await ok(client, "generate_image", **CALL)
    sandbox.fault("images", "drop_after")
    text = await refused(client, "generate_image", **CALL)
    assert known["task_id"] not in text
    assert "is probably yours" in text


@pytest.mark.parametrize(
    ("fault", "said"), [({"status": 404}, "offers no list"), ({"status": 500}, "could not be read")]
)
async def test_a_list_that_is_not_there_is_said(
    client: Client, sandbox: Sandbox, fault: dict[str, Any], said: str
) -> None:
    sandbox.fault("images", "drop_after")
    sandbox.fault("tasks", "status", **fault)
    text = await refused(client, "generate_image", **CALL)
    assert said in text
    assert "Charged: unknown." in text
    assert "Do not submit again" in text


async def test_a_429_is_sent_again_once_after_the_time_it_asks_for(
    client: Client, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.fault("images", "status", status=429, retry_after=1)
    await ok(client, "generate_image", **CALL)
    assert (posts(sandbox), sandbox.paid()) == (2, 1)
    assert sum(clock.slept) == pytest.approx(1, abs=0.1)


async def test_a_429_without_a_time_waits_two_seconds(client: Client, sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.fault("images", "status", status=429)
    await ok(client, "generate_image", **CALL)
    assert sum(clock.slept) == pytest.approx(2, abs=0.1)


async def test_a_second_429_is_told_as_not_charged(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("images", "status", status=429, retry_after=1, times=0)
    text = await refused(client, "generate_image", **CALL)
    assert "Charged: no." in text
    assert (posts(sandbox), sandbox.paid()) == (2, 0)


async def test_a_429_beyond_the_deadline_is_told_at_once_and_holds_back_what_follows(
    client: Client, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.fault("images", "status", status=429, retry_after=120)
    text = await refused(client, "generate_image", **CALL)
    assert "Charged: no." in text
    assert "120 s" in text
    assert "HTTP 429" in text
    assert posts(sandbox) == 1
    text = await refused(client, "generate_image", **CALL)
    assert "[rate_limited]" in text
    assert "Charged: no." in text
    assert posts(sandbox) == 1
    await ok(client, "generate_image", prompt="x", model="gpt-4o-image")
    await clock.sleep(121)
    await ok(client, "generate_image", **CALL)
    assert sandbox.paid() == 2


async def test_the_queue_behind_a_pause_is_bounded(settings: Settings, sandbox: Sandbox) -> None:
    """On the real clock: the callers wait half a second side by side."""
    app = App(settings)
    owner = owner_of(KEY)
    app.pauses.pause(owner, "m", 0.5)
    outcomes: list[str] = []

    async def one() -> None:
        try:
            await app.pauses.pass_through(owner, "m", seconds=5)
            outcomes.append("passed")
        except Exception as error:
            outcomes.append(str(getattr(error, "code", error)))

    async with anyio.create_task_group() as group:
        for _ in range(MAX_WAITING + 3):
            group.start_soon(one)
    assert sorted(outcomes) == ["passed"] * MAX_WAITING + ["rate_limited"] * 3


async def test_what_never_arrived_is_tried_again_and_not_charged(
    settings: Settings, clock: FakeClock, connect: Connect
) -> None:
    dead = "http://127.0.0.1:9"
    async with connect(App(replace(settings, base_url=dead, files_url=dead), clock=clock)) as client:
        text = await refused(client, "generate_image", **CALL)
    assert "Charged: no." in text
    assert "[unreachable]" in text
    assert "127.0.0.1:9" in text
    assert len([pause for pause in clock.slept if pause > 0]) == 2


async def test_an_unknown_try_stays_unknown_whatever_would_come_after(
    settings: Settings, sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evolink_mcp.tools.generation.SUBMIT_SECONDS", 8.4)  # 8 s of it are for looking the task up
    sandbox.fault("images", "hang", seconds=20)
    sandbox.fault("images", "status", status=402)
    async with connect(App(settings)) as client:
        text = await refused(client, "generate_image", **CALL)
    assert "Charged: unknown." in text
    assert "[timeout]" in text
    assert posts(sandbox) == 1


async def cancelled(client: Client, sandbox: Sandbox, after: Callable[[], bool], **arguments: object) -> None:
    """Calls generate_image and goes away as soon as ``after`` holds."""
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "generate_image", arguments)
        with anyio.fail_after(10):
            while not after():
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()


@pytest.fixture(params=["auto", "legacy"])
async def mode(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_a_cancel_while_the_post_is_in_flight_loses_nothing(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, mode: str
) -> None:
    async with connect(App(settings, clock=clock), mode) as client:
        sandbox.fault("images", "slow", delay=0.3)
        await cancelled(client, sandbox, lambda: posts(sandbox) == 1, **CALL)
        again = await ok(client, "generate_image", **CALL)
        assert any("identical request" in note for note in again["notes"])
        assert ids(sandbox) == [again["task_id"]]
        assert posts(sandbox) == 1
        fresh = await ok(client, "generate_image", **CALL)
        assert fresh["task_id"] != again["task_id"]
        assert sandbox.paid() == 2


async def test_a_cancel_after_the_post_loses_nothing(client: Client, sandbox: Sandbox, app: App) -> None:
    sandbox.fault("images", "slow", delay=0.2)
    await cancelled(client, sandbox, lambda: posts(sandbox) == 1, **CALL)
    await app.purchases.drain(5)
    again = await ok(client, "generate_image", **CALL)
    assert ids(sandbox) == [again["task_id"]]


async def test_a_cancel_while_waiting_for_the_result_loses_nothing(
    settings: Settings, sandbox: Sandbox, connect: Connect
) -> None:
    sandbox.configure(image_seconds=60)
    async with connect(App(settings)) as client:
        await cancelled(client, sandbox, lambda: sandbox.paid() == 1, **CALL, wait_seconds=45)
        again = await ok(client, "generate_image", **CALL)
    assert ids(sandbox) == [again["task_id"]]


async def test_a_cancel_while_the_task_is_found_again_loses_nothing(client: Client, sandbox: Sandbox, app: App) -> None:
    sandbox.fault("images", "slow", delay=0.1)
    await cancelled(client, sandbox, lambda: posts(sandbox) == 1, **CALL)
    await app.purchases.drain(5)
    sandbox.fault("task", "slow", delay=0.3)
    await cancelled(client, sandbox, lambda: len(sandbox.requests("/v1/tasks/")) == 1, **CALL)
    again = await ok(client, "generate_image", **CALL)
    assert ids(sandbox) == [again["task_id"]]


async def test_a_call_cancelled_before_anything_was_sent_is_not_sent(settings: Settings, sandbox: Sandbox) -> None:
    """On the real clock, behind a short pause."""
    from evolink_mcp.server import create_server

    app = App(settings)
    _ = app.registry  # reading it takes longer than the pause on a busy machine
    async with Client(create_server(app)) as client:
        await client.list_tools()
        app.pauses.pause(owner_of(KEY), CALL["model"], 0.5)
        with anyio.move_on_after(0.1):
            await client.call_tool("generate_image", CALL)
        await app.purchases.drain(5)
        assert posts(sandbox) == 0
        await ok(client, "generate_image", **CALL)
    await app.aclose()
    assert sandbox.paid() == 1


@pytest.mark.parametrize("code", ["quota_exceeded", "insufficient_quota"])
async def test_an_empty_account_is_not_asked_twice_whatever_the_status(
    client: Client, sandbox: Sandbox, code: str
) -> None:
    error = {"code": code, "message": "No credits", "action_url": "https://e.test/pay", "fallback_suggestion": "buy"}
    for status in (429, 402):
        sandbox.fault("images", "status", status=status, retry_after=1, body={"error": error})
        before = posts(sandbox)
        text = await refused(client, "generate_image", **CALL)
        assert posts(sandbox) == before + 1
        assert "top up" in text
        assert "https://e.test/pay" in text
        assert "Wait 1 s" not in text


async def test_a_pause_that_grows_while_one_queues_is_kept() -> None:
    class Growing(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            pauses.pause("o", "m", 60)

    pauses = Pauses(Growing())
    pauses.pause("o", "m", 5)
    with pytest.raises(Refused, match="opens again in 60 s"):
        await pauses.pass_through("o", "m", seconds=30)


async def test_another_request_or_another_caller_does_not_get_it(
    client: Client, sandbox: Sandbox, settings: Settings, clock: FakeClock, connect: Connect
) -> None:
    sandbox.fault("images", "slow", delay=0.2)
    await cancelled(client, sandbox, lambda: posts(sandbox) == 1, **CALL)
    different = await ok(client, "generate_image", **{**CALL, "prompt": "a blue kite"})
    async with connect(App(replace(settings, api_key="sk-other-000000"), clock=clock)) as other:
        theirs = await ok(other, "generate_image", **CALL)
    again = await ok(client, "generate_image", **CALL)
    assert len({different["task_id"], theirs["task_id"], again["task_id"]}) == 3
    assert sandbox.paid() == 3


async def test_what_was_left_is_forgotten_after_ten_minutes(
    client: Client, sandbox: Sandbox, clock: FakeClock, app: App
) -> None:
    sandbox.fault("images", "slow", delay=0.1)
    await cancelled(client, sandbox, lambda: posts(sandbox) == 1, **CALL)
    await app.purchases.drain(5)
    clock.time += KEEP_SECONDS + 1
    await ok(client, "generate_image", **CALL)
    assert sandbox.paid() == 2


async def test_delivered_requests_are_never_made_one(client: Client, sandbox: Sandbox) -> None:
    first = await ok(client, "generate_image", **CALL)
    second = await ok(client, "generate_image", **CALL)
    assert first["task_id"] != second["task_id"]
    tasks: list[dict[str, Any]] = []

    async def one() -> None:
        tasks.append(await ok(client, "generate_image", **CALL))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(one)
    assert len({task["task_id"] for task in tasks}) == 4
    assert sandbox.paid() == 6


async def test_an_unknown_outcome_nobody_heard_is_told_to_the_repeat(
    client: Client, sandbox: Sandbox, app: App
) -> None:
    sandbox.fault("images", "drop_after")
    sandbox.fault("tasks", "slow", delay=0.2)  # the look-up after the lost answer is when the caller goes away
    await cancelled(client, sandbox, lambda: sandbox.paid() == 1, **CALL)
    await app.purchases.drain(5)
    assert "Charged: unknown." in await refused(client, "generate_image", **CALL)
    assert (posts(sandbox), sandbox.paid()) == (1, 1)
    await ok(client, "generate_image", **CALL)


async def test_a_server_that_ends_lets_a_paid_request_come_home(
    settings: Settings, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    from evolink_mcp.server import create_server

    app = App(settings)
    async with Client(create_server(app)) as client:
        sandbox.fault("images", "slow", delay=0.3)
        await cancelled(client, sandbox, lambda: posts(sandbox) == 1, **CALL)
    await app.aclose()
    (task_id,) = ids(sandbox)
    assert task_id in caplog.text


async def test_many_waits_for_few_tasks_share_their_looks(
    settings: Settings, sandbox: Sandbox, connect: Connect
) -> None:
    """200 waits on 20 tasks, on the real clock: never two looks at one task at a time, and few in all."""
    sandbox.configure(image_seconds=0)
    async with connect(App(settings)) as client:
        made = [(await ok(client, "generate_image", **CALL))["task_id"] for _ in range(20)]
        ended: list[str] = []

        async def one(task_id: str) -> None:
            task = await ok(client, "check_task", task_id=task_id, wait_seconds=20)
            ended.append(task["status"])

        sandbox.fault("task", "slow", delay=0.05, times=0)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                for task_id in made * 10:
                    group.start_soon(one, task_id)
        assert ended == ["completed"] * 200
        looks = [request["path"] for request in sandbox.requests("/v1/tasks/")]
        assert all(looks.count(path) <= 4 for path in set(looks))


Episode = Callable[[], Awaitable[None]]


async def test_random_trouble_never_costs_twice_or_lies(
    settings: Settings, sandbox: Sandbox, connect: Connect, clock: FakeClock
) -> None:
    """500 episodes of faults, cancels and retries by an agent that repeats only what it was told is free."""
    chance = random.Random(20261121)
    faults: list[dict[str, Any]] = [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "no_id"},
        {"kind": "garbage", "created": True},
        {"kind": "empty"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503, "created": True},
        {"kind": "status", "status": 429, "retry_after": 1},
        {"kind": "status", "status": 402},
        {"kind": "status", "status": 400},
        {"kind": "html", "status": 502, "created": True},
        {"kind": "slow", "delay": 0.02},
    ]
    said_free = told_ids = 0
    async with connect(App(settings, clock=clock)) as client:
        for number in range(500):
            arguments = {**CALL, "prompt": f"kite {number}"}
            before, answered = sandbox.paid(), False
            sandbox.fault("images", "no_urls")
            if chance.random() < 0.75:
                sandbox.fault("images", **chance.choice(faults))
            for _ in range(3):
                if chance.random() < 0.3:
                    with anyio.move_on_after(chance.choice([0, 0.002, 0.01, 0.03])):
                        await client.call_tool("generate_image", arguments)
                        answered = True
                        break
                    continue
                result = await client.call_tool("generate_image", arguments)
                answered = True
                if not result.is_error:
                    told_ids += 1
                    structured = result.structured_content
                    assert structured["task_id"] == ids(sandbox)[-1]
                    break
                text = text_of(result)
                if "Charged: no." not in text:
                    assert sandbox.paid() == before or ids(sandbox)[-1] in text
                    break
                assert sandbox.paid() == before, text
                said_free += 1
            if not answered:
                await heard(client, sandbox, arguments, before)
            assert sandbox.paid() - before <= 1, f"episode {number} paid twice"
            sandbox.clear_faults()
            if number % 50 == 49:
                sandbox.reset()
    assert said_free > 20
    assert told_ids > 100


async def heard(client: Client, sandbox: Sandbox, arguments: dict[str, Any], before: int) -> None:
    """The agent's last try: what it says of money is true, and a paid task's id is in it."""
    text = text_of(await client.call_tool("generate_image", arguments))
    if "Charged: no." in text:
        assert sandbox.paid() == before
    else:
        assert sandbox.paid() == before or ids(sandbox)[-1] in text


async def test_a_caller_of_the_pool_is_one_of_a_key() -> None:
    transport = Transport("http://127.0.0.1:9", "http://127.0.0.1:9")
    assert KEY not in repr(Caller(transport, KEY))
    await transport.aclose()


async def test_an_adopted_task_is_answered_at_once(client: Client, sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.configure(image_seconds=60)
    sandbox.fault("images", "slow", delay=0.2)
    await cancelled(client, sandbox, lambda: posts(sandbox) == 1, **CALL)
    before = sum(clock.slept)
    again = await ok(client, "generate_image", **CALL, wait_seconds=45)
    assert again["task_id"] == ids(sandbox)[0]
    assert sum(clock.slept) - before < 5
