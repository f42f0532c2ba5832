"""Addresses for callbacks: how many there may be, what replicas know of them, and what holds where no call comes."""

from __future__ import annotations

import logging
from contextlib import suppress
from itertools import pairwise

import pytest

from evolink_mcp.errors import EvolinkError, GatewayRefused, OutcomeUnknown, Refused, SettingsError
from evolink_mcp.gateway import Caller
from evolink_mcp.jobs import callbacks as module
from evolink_mcp.jobs.callbacks import KEEP_SECONDS, MAX_ABSENT, Callbacks
from evolink_mcp.jobs.pauses import Pauses
from evolink_mcp.jobs.progress import Progress
from evolink_mcp.jobs.waits import Waits
from evolink_mcp.settings import Settings
from evolink_mcp.transports.http.options import HttpOptions
from tests.support import FakeClock, Sandbox
from tests.unit.calling import OWNER, TASK, URL, bound, callbacks_of
from tests.unit.waiting import Told, reads, started

BOUND = 15.0


async def waited_in_vain(caller: Caller, sandbox: Sandbox, callbacks: Callbacks, clock: FakeClock) -> list[float]:
    """Waits for an image of ten seconds that nobody calls back for; when it was read, and when it was told at last."""
    waits = Waits(clock, Pauses(clock), expectations=callbacks)
    task = await started(caller, sandbox, "image", 10)
    await bound(callbacks, task.id)
    before, began = len(reads(sandbox, 0)), clock.now()
    outcome = await waits.wait_for(caller, task, seconds=45, progress=Progress(Told(clock)))
    assert outcome.task.status == "completed"
    return [*(at - began for at in reads(sandbox, 0)[before:]), clock.now() - began]


async def test_a_call_that_never_comes_is_told_as_late_as_the_pace_does_at_worst(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    callbacks, _ = callbacks_of(clock)
    *seen, told = await waited_in_vain(caller, sandbox, callbacks, clock)
    assert len(seen) == 1
    assert 10 <= told <= 10 + 5 + 0.5


async def test_after_some_calls_that_did_not_come_the_pace_is_back_until_one_comes(
    caller: Caller, sandbox: Sandbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    callbacks, _ = callbacks_of(clock)
    late = await bound(callbacks, "task-0")
    callbacks.end("task-0")
    for number in range(1, MAX_ABSENT):
        await bound(callbacks, f"task-{number}")
        callbacks.end(f"task-{number}")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert late not in caplog.text
    *seen, told = await waited_in_vain(caller, sandbox, callbacks, clock)
    assert len(seen) > 1
    assert told <= 10 + 5 + 0.5
    assert len(caplog.records) == 1
    assert await callbacks.call(late)  # late, and yet: calls do come
    await bound(callbacks)
    assert callbacks.expects(TASK)
    assert not await callbacks.call(late)


async def test_polls_are_one_or_two_a_minute_where_a_call_is_expected(
    caller: Caller, sandbox: Sandbox, clock: FakeClock
) -> None:
    callbacks, _ = callbacks_of(clock)
    waits = Waits(clock, Pauses(clock), expectations=callbacks)
    task = await started(caller, sandbox, "video", 170)
    await bound(callbacks, task.id)
    waits.foresee(caller, task)
    began = reads(sandbox, 0)
    for _ in range(4):
        await waits.wait_for(caller, task.id, seconds=45, progress=Progress(Told(clock)))
    seen = reads(sandbox, 0)[len(began) :]
    assert len(seen) <= 2
    assert all(later - earlier >= 30 for earlier, later in pairwise(seen))


async def test_addresses_are_bounded_for_each_and_for_all_and_end_by_themselves(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OF_OWNER", 2)
    monkeypatch.setattr(module, "MAX_IN_ALL", 3)
    callbacks, wakes = callbacks_of(clock)
    names = [await bound(callbacks, f"task-{number}") for number in range(2)]
    async with callbacks.expecting(OWNER) as third, callbacks.expecting("another") as fourth:
        assert third is None
        assert fourth is not None
    async with callbacks.expecting("yet another") as fifth:
        assert fifth is None
    assert await callbacks.call(names[0])
    await clock.sleep(KEEP_SECONDS)
    assert not await callbacks.call(names[1])
    assert wakes == ["task-0"]
    assert not callbacks.expects("task-1")
    await bound(callbacks)


async def test_an_address_lives_on_only_where_its_request_may_have_made_a_task(clock: FakeClock) -> None:
    callbacks, wakes = callbacks_of(clock)
    names: list[str] = []
    for error in (GatewayRefused("no", status=400), Refused("nobody wants it any more"), OutcomeUnknown("perhaps")):
        with suppress(EvolinkError):
            async with callbacks.expecting(OWNER) as expectation:
                assert expectation is not None
                names.append(expectation.address.removeprefix(f"{URL}/"))
                raise error
    assert [await callbacks.call(name) for name in names] == [False, False, True]
    assert not wakes


async def refused(callbacks: Callbacks, owner: str, what: str = "callback_url: no", status: int = 400) -> str:
    """What the owner of a request is told to do that the gateway refused although it had an address."""
    try:
        async with callbacks.expecting(owner) as expectation:
            assert expectation is not None
            raise GatewayRefused(what, status=status, next_step="Correct it.")
    except GatewayRefused as error:
        return error.next_step


async def has_address(callbacks: Callbacks, owner: str) -> bool:
    try:
        async with callbacks.expecting(owner) as expectation:
            if expectation is not None:
                raise Refused("only asked")
    except Refused:
        return True
    return False


async def test_no_owner_can_have_the_gateway_stop_calling_for_another(clock: FakeClock) -> None:
    callbacks, _ = callbacks_of(clock)
    for _ in range(3):
        assert "Call again" in await refused(callbacks, "mallory", "size: 'callback' is not one of 1:1, 16:9")
        assert not await has_address(callbacks, "mallory")
        assert await has_address(callbacks, OWNER)
        await clock.sleep(module.REST_SECONDS)
    for number in range(5 * module.MAX_REFUSED):
        await refused(callbacks, f"mallory {number}")
        await bound(callbacks, f"task-{number}")  # what the gateway takes from one is no fault of the address


async def test_an_address_that_nobody_can_use_rests_for_all(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    callbacks, _ = callbacks_of(clock)
    for number in range(module.MAX_REFUSED):
        assert await has_address(callbacks, OWNER)
        await refused(callbacks, f"owner {number}")
    assert not await has_address(callbacks, OWNER)
    assert "it is left out for a while" in caplog.text
    await clock.sleep(module.REST_SECONDS)
    assert await has_address(callbacks, OWNER)
    assert await has_address(callbacks, "owner 0")


@pytest.mark.parametrize(("status", "what"), [(401, "callback_url"), (429, "callback_url"), (400, "size: no")])
async def test_a_refusal_for_another_reason_keeps_its_words_and_the_address(
    clock: FakeClock, status: int, what: str
) -> None:
    callbacks, _ = callbacks_of(clock)
    assert await refused(callbacks, OWNER, what, status) == "Correct it."
    assert await has_address(callbacks, OWNER)


async def test_owners_who_are_to_go_without_an_address_are_bounded(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_RESTING", 2)
    callbacks, _ = callbacks_of(clock)
    for number in range(3):
        await refused(callbacks, f"owner {number}")
        await bound(callbacks, f"task-{number}")
    assert [await has_address(callbacks, f"owner {number}") for number in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    "url",
    [
        "http://mcp.example.com/callbacks",
        "https://10.0.0.1/callbacks",
        "https://mcp.internal/callbacks",
        "https://127.0.0.1/callbacks",
        "http://127.0.0.1:8000/callbacks",
        "https://user:secret@mcp.example.com/callbacks",
        "https://mcp.example.com",
        "https://mcp.example.com/callbacks?x=1",
        "https://mcp.example.com/" + "x" * 2000 + "/callbacks",
        "mcp.example.com/callbacks",
        "https://[::1/callbacks",
    ],
)
def test_an_address_that_the_gateway_does_not_call_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        HttpOptions(callback_url=url).check(Settings())
    assert "--callback-url" in caught.value.what
    with pytest.raises(SettingsError, match="--public-url is no link"):
        HttpOptions(public_url="https://[::1").check(Settings())
    assert "https://mcp.example.com/callbacks" in caught.value.what


def test_the_address_may_come_from_the_environment_and_be_on_this_machine_beside_a_sandbox() -> None:
    HttpOptions(callback_url=URL).check(Settings())
    HttpOptions(callback_url="http://127.0.0.1:8000/callbacks").check(Settings(base_url="http://127.0.0.1:9"))
    assert HttpOptions().complete(Settings(callback_url=f"{URL}/")).callback_url == URL
    assert HttpOptions(callback_url=URL).complete(Settings(callback_url="https://other/")).callback_url == URL
