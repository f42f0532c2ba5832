"""Links of callers that are looked at before anything was paid: few at once, under their caller's share, and only of
callers whose key is known to work."""

from __future__ import annotations

import io
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import httpx2
import pytest
from PIL import Image

from evolink_mcp.guard import names
from evolink_mcp.guard.names import NamePool
from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media import visits
from evolink_mcp.media.facts import Facts, Measurer
from evolink_mcp.media.fetch import Fetcher
from tests.contract.asking import call
from tests.contract.keeping import ALICE
from tests.contract.servers import Host, answer, moved, serving
from tests.contract.test_outcomes_of_inputs import EDIT
from tests.serving import on
from tests.serving import serving as serving_http
from tests.support import Sandbox
from tests.unit.guard.test_names import DeadServer

BOUND = 15.0
LONG = 30.0


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 20)).save(out, "PNG")
    return out.getvalue()


@asynccontextmanager
async def stuck() -> AsyncGenerator[Host]:
    """A host that answers nothing but a picture."""

    async def said(path: str) -> bytes:
        if path != "/picture":
            await anyio.sleep_forever()
        return answer(picture())

    async with serving(said) as host:
        yield host


def measurer(resolve: Any = None) -> Measurer:
    guard = UrlGuard(allow_loopback=True, resolve=resolve) if resolve else UrlGuard(allow_loopback=True)
    return Measurer(Fetcher(guard))


async def asked(host: Host, count: int) -> None:
    with anyio.fail_after(BOUND):
        while len(host.asked) < count:
            await anyio.sleep(0.01)


async def test_dead_names_behind_an_input_leave_the_names_of_results_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    dead, pool = DeadServer(), NamePool()
    try:
        async with serving(lambda path: moved(f"https://{path.strip('/')}.dead/")) as host:
            monkeypatch.setattr(socket, "getaddrinfo", dead)
            monkeypatch.setattr(names, "LOOKUP_SECONDS", 0.1)
            inputs = measurer(pool.resolve)
            for number in range(2 * names.MAX_LOOKUPS_PER_CALLER):
                await inputs.measure_input("hostile", host.url(path=f"/{number}"), seconds=LONG)
        assert len(dead.asked) == names.MAX_LOOKUPS_PER_CALLER
        assert await pool.resolve("results.example.com")
        assert await pool.resolve("example.com", "honest")
    finally:
        dead.released.set()


async def test_inputs_that_hang_are_few_end_with_their_calls_and_hold_up_no_result() -> None:
    async with stuck() as host:
        looking = measurer()
        async with anyio.create_task_group() as group:
            for owner in range(3 * visits.MAX_IN_ALL):
                for number in range(3):
                    link = host.url(path=f"/{owner}/{number}")
                    group.start_soon(lambda o=f"{owner}", x=link: looking.measure_input(o, x, seconds=LONG))
            await asked(host, visits.MAX_IN_ALL)
            with anyio.fail_after(BOUND):
                assert await looking.measure_input("honest", host.url(path="/x"), seconds=LONG) == Facts()
                (found,) = await looking.measure(ALICE, [host.url(path="/picture")], seconds=LONG)
            assert found.width == 32
            assert len(host.asked) == visits.MAX_IN_ALL + 1
            group.cancel_scope.cancel()
        found = await looking.measure_input("honest", host.url(path="/picture"), seconds=LONG)
        assert found.width == 32


async def test_an_owner_has_a_share_of_the_looks_at_inputs() -> None:
    async with stuck() as host:
        looking = measurer()
        async with anyio.create_task_group() as group:
            for number in range(3 * visits.MAX_OF_OWNER):
                link = host.url(path=f"/{number}")
                group.start_soon(lambda x=link: looking.measure_input("hostile", x, seconds=LONG))
            await asked(host, visits.MAX_OF_OWNER)
            assert (await looking.measure_input("honest", host.url(path="/picture"), seconds=LONG)).width == 32
            assert len(host.asked) == visits.MAX_OF_OWNER + 1
            group.cancel_scope.cancel()


async def test_an_input_that_could_not_be_read_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(b"gone", status="404 Not Found")) as host:
        looking = measurer()
        for owner in ("alice", "alice", "bob"):
            assert await looking.measure_input(owner, host.url(), seconds=LONG) == Facts()
        assert len(host.asked) == 2
        monkeypatch.setattr(visits, "REST_SECONDS", 0.0)
        monkeypatch.setattr(visits, "MAX_RESTING", 1)
        await looking.measure_input("carol", host.url(), seconds=LONG)  # the newest failures are remembered
        await looking.measure_input("alice", host.url(), seconds=LONG)
        assert len(host.asked) == 4


async def test_a_key_that_has_made_nothing_yet_has_no_link_visited(sandbox: Sandbox) -> None:
    sandbox.fault("videos", "no_urls", times=0)
    async with (
        serving(answer(picture())) as host,
        # Callers elsewhere may link to nothing on this machine but the gateway and its files.
        serving_http(replace(on(sandbox), files_url=f"http://127.0.0.1:{host.port}")) as served,
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
    ):
        edit = {**EDIT, "options": {"video_urls": [host.url(path="/a.mp4")]}}
        for key in ("sk-made-up-0123456789", "sk-honest-0123456789"):
            await call(http, served.url, "generate_video", key, **edit)
        assert host.asked == []
        await call(http, served.url, "generate_video", "sk-honest-0123456789", **edit)
        assert len(host.asked) == 1


async def test_callers_elsewhere_reach_no_other_program_on_this_machine(sandbox: Sandbox) -> None:
    async with (
        serving(answer(picture())) as host,
        serving_http(on(sandbox)) as served,
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
    ):
        for tool, arguments in (
            ("upload_file", {"file_url": host.url()}),
            ("generate_image", {"prompt": "x", "image_urls": [host.url()]}),
            ("generate_video", {**EDIT, "options": {"video_urls": [host.url(path="/a.mp4")]}}),
        ):
            answer_to = await call(http, served.url, tool, "sk-honest-0123456789", **arguments)
            assert "link_refused" in str(answer_to)
        assert host.asked == []
        assert sandbox.paid() == 0
