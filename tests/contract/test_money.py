"""Paid once, told the truth: what the gateway does wrong, held against the sandbox's ledger of paid tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.jobs.ledger import owner_of
from evolink_mcp.jobs.pauses import MAX_WAITING
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.contract.buying import CALL, Connect, ids, posts
from tests.support import KEY, FakeClock, Sandbox, ok, refused


@pytest.mark.parametrize("fault", ["drop_after", "no_id"])
async def test_a_lost_answer_is_unknown_and_its_task_is_named(client: Client, sandbox: Sandbox, fault: str) -> None:
    sandbox.fault("images", fault)
    text = await refused(client, "generate_image", **CALL)
    assert "Charged: unknown." in text
    assert (posts(sandbox), sandbox.paid()) == (1, 1)
    assert f"Task {ids(sandbox)[0]} was created at that time and is probably yours" in text
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
