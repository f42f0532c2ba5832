"""Every tool call leaves one record: its outcome, its task, its caller, and nothing of what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio
import pytest
from mcp.client import Client

from evolink_mcp.gateway import Exchange
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.tools.audit import (
    MAX_ARGUMENTS,
    MAX_VALUE,
    MAX_WORD,
    OUTCOMES,
    SENTENCE,
    CallRecord,
    arguments_of,
    word,
)
from tests.support import FakeClock, Sandbox, ok, refused

Connect = Callable[..., Client]


@dataclass
class Records:
    """An audit that remembers."""

    calls: list[CallRecord] = field(default_factory=list[CallRecord])
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    credits: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])

    def record_call(self, record: CallRecord) -> None:
        self.calls.append(record)

    def record_exchange(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def record_credits(self, name: str, held: float, charged: float) -> None:
        self.credits.append((name, held, charged))

    def last(self) -> CallRecord:
        assert self.calls[-1].outcome in OUTCOMES
        return self.calls[-1]


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def app(settings: Settings, clock: FakeClock, records: Records) -> App:
    return App(settings, clock=clock, audit=records)


async def test_a_submit_is_recorded_with_its_task(client: Client, records: Records) -> None:
    task = await ok(client, "generate_image", prompt="a secret garden")
    record = records.last()
    assert (record.tool, record.paid, record.outcome, record.task_id) == ("generate_image", True, "ok", task["task_id"])
    assert record.owner
    assert record.request_id
    assert record.seconds > 0
    assert "secret garden" not in repr(record)
    assert [(each.method, each.status) for each in records.exchanges] == [("POST", 200)]


async def test_a_free_call_is_recorded_as_free(client: Client, records: Records) -> None:
    await ok(client, "list_models")
    assert (records.last().paid, records.last().outcome, records.last().task_id) == (False, "ok", "")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"kind": "status", "status": 402}, "gateway_refused"),
        ({"kind": "drop_after"}, "unknown"),
    ],
)
async def test_what_the_gateway_did_is_the_outcome(
    client: Client, sandbox: Sandbox, records: Records, fault: dict[str, object], outcome: str
) -> None:
    sandbox.fault("images", times=0, **fault)  # type: ignore[arg-type]
    await refused(client, "generate_image", prompt="x")
    assert records.last().outcome == outcome


async def test_a_refusal_of_ours_is_recorded(client: Client, records: Records) -> None:
    await refused(client, "generate_image", promt="x")
    assert (records.last().outcome, records.exchanges) == ("refused", [])


async def test_a_gateway_that_is_not_there_is_unreachable(
    settings: Settings, clock: FakeClock, connect: Connect, records: Records
) -> None:
    nowhere = "http://127.0.0.1:9"
    settings = replace(settings, base_url=nowhere, files_url=nowhere)
    async with connect(App(settings, clock=clock, audit=records)) as client:
        await refused(client, "generate_image", prompt="x")
    assert records.last().outcome == "unreachable"


async def test_a_fault_of_ours_is_internal(client: Client, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolink_mcp.tools.models.models_view", None)
    await refused(client, "list_models")
    assert records.last().outcome == "internal"


async def test_a_cancelled_call_is_recorded_with_the_task_it_named(
    client: Client, sandbox: Sandbox, records: Records
) -> None:
    sandbox.configure(image_seconds=1000)
    task = await ok(client, "generate_image", prompt="x")
    sandbox.fault("task", "hang", times=0)
    with anyio.move_on_after(0.3):
        await client.call_tool("check_task", {"task_id": task["task_id"], "wait_seconds": 45})
    await ok(client, "list_models")  # comes after the cancel
    (record,) = [each for each in records.calls if each.tool == "check_task"]
    assert (record.outcome, record.task_id) == ("cancelled", task["task_id"])


async def test_what_somebody_wrote_where_a_word_should_be_is_not_recorded(
    client: Client, sandbox: Sandbox, records: Records
) -> None:
    for words in ("a secret garden", "花園裡的secret"):
        await refused(client, "generate_image", prompt="x", model=words, size=words)
        assert records.last().outcome == "refused"
    sandbox.fault("images", "status", status=400, code="no: a secret garden")
    await refused(client, "generate_image", prompt="x")
    assert records.last().outcome == "gateway_refused"
    task = await ok(client, "generate_image", prompt="x")
    sandbox.fault("task", "status", status=200, body={"id": task["task_id"], "status": "failed", "model": "secret model"
                  , "error": {"code": "a secret garden", "message": "m"}})  # fmt: skip
    assert (await ok(client, "check_task", task_id=task["task_id"]))["status"] == "failed"
    assert "secret" not in repr(records.calls)


def test_a_record_has_its_bounds_whatever_a_call_holds() -> None:
    many = {f"name{number}": 1 for number in range(100)}
    assert len(arguments_of(many).split()) == MAX_ARGUMENTS
    assert arguments_of({"options": many}).count("name") == MAX_ARGUMENTS
    assert word("x" * MAX_WORD) == "x" * MAX_VALUE
    assert word("x" * (MAX_WORD + 1)) == SENTENCE


@pytest.mark.parametrize("task_id", ["x" * 129, "a b", 7])
async def test_what_is_no_task_id_is_not_recorded_as_one(client: Client, records: Records, task_id: object) -> None:
    await refused(client, "check_task", task_id=task_id)
    assert records.last().task_id == ""


async def test_a_view_that_cannot_be_rendered_still_names_the_task(
    client: Client, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object) -> str:
        raise RuntimeError("no text")

    monkeypatch.setattr("evolink_mcp.tools.views.TaskView.as_text", broken)
    text = await refused(client, "generate_image", prompt="x")
    record = records.last()
    assert (record.outcome, record.task_id.startswith("task-")) == ("internal", True)
    assert f"check_task with task_id {record.task_id}" in text
    assert "Charged: unknown." in text
