"""Looking up callers' names: bounded for each caller and in all, and nobody waits for another's dead names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import anyio
import pytest

from evolink_mcp.guard import names
from evolink_mcp.guard.names import NamePool
from evolink_mcp.guard.urls import UrlGuard


class DeadServer:
    """A resolver that hangs on names under ``.dead`` until it is released, and answers all others at once."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []
        self.daemons: list[bool] = []

    def __call__(self, host: str, *_: object, **__: object) -> list[Any]:
        self.asked.append(host)
        self.daemons.append(threading.current_thread().daemon)
        if host.endswith(".dead"):
            self.released.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0))]


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[DeadServer]:
    server = DeadServer()
    monkeypatch.setattr(socket, "getaddrinfo", server)
    monkeypatch.setattr(names, "LOOKUP_SECONDS", 3600.0)
    yield server
    server.released.set()


@contextmanager
def hurried() -> Generator[None]:
    """Has names looked up for a moment only: inside the block nobody answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names, "LOOKUP_SECONDS", 0.05)
        yield


async def give_up(pool: NamePool, host: str, caller: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 (a time-out is one as well)
        await pool.resolve(host, caller)


async def jam(pool: NamePool, caller: str, count: int) -> None:
    with hurried():
        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(give_up, pool, f"{caller}-{number}.dead", caller)


async def test_dead_names_of_one_caller_leave_room_for_others(dead: DeadServer) -> None:
    pool = NamePool()
    await jam(pool, "hostile", 50)
    assert len(dead.asked) == names.MAX_LOOKUPS_PER_CALLER
    assert [str(each) for each in await pool.resolve("example.com", "honest")] == ["8.8.8.8"]


async def test_dead_names_of_many_callers_delay_nobody(dead: DeadServer) -> None:
    pool = NamePool()
    for number in range(20):
        await jam(pool, f"made-up-{number}", 10)
    assert len(dead.asked) == names.MAX_LOOKUPS
    with anyio.fail_after(60):
        (note,) = await UrlGuard(resolve=pool.resolve).check_links(
            {"image_urls": ["https://example.com/a"]}, caller="x"
        )
    assert "found no address" in note
    assert await pool.resolve("example.com")  # what the gateway named is looked up all the same


async def test_threads_come_back_when_their_lookups_end(dead: DeadServer) -> None:
    pool = NamePool()
    await jam(pool, "hostile", names.MAX_LOOKUPS_PER_CALLER)
    dead.released.set()
    with anyio.fail_after(60):
        while True:
            try:
                assert await pool.resolve("example.com", "hostile")
                break
            except OSError:
                await anyio.sleep(0.01)


async def test_a_lookup_that_ends_frees_one_place_and_no_more(dead: DeadServer) -> None:
    pool = NamePool()
    await jam(pool, "hostile", names.MAX_LOOKUPS_PER_CALLER - 1)
    assert await pool.resolve("example.com", "hostile")
    await jam(pool, "hostile", 50)
    assert len(dead.asked) == names.MAX_LOOKUPS_PER_CALLER + 1


async def test_many_good_names_of_one_call_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(host: str, *_: object, **__: object) -> list[Any]:
        threading.Event().wait(0.01)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    links = [f"https://{number}.example.com/a" for number in range(3 * names.MAX_LOOKUPS_PER_CALLER)]
    assert await UrlGuard(resolve=NamePool().resolve).check_links({"image_urls": links}, caller="honest") == []


async def test_a_name_asked_for_by_many_is_looked_up_once(dead: DeadServer) -> None:
    pool = NamePool()
    with hurried():
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(give_up, pool, "same.dead", "anybody")
    assert dead.asked == ["same.dead"]


async def test_a_caller_that_leaves_takes_no_answer_from_the_others(dead: DeadServer) -> None:
    pool = NamePool()
    with anyio.move_on_after(0.01):
        await pool.resolve("same.dead", "first")
    dead.released.set()
    with pytest.raises(socket.gaierror):
        await pool.resolve("same.dead", "second")


async def test_nothing_is_kept_of_a_caller_whose_lookups_have_ended(dead: DeadServer) -> None:
    """Made-up keys are free: each of them would stay."""
    pool = NamePool()
    await pool.resolve("example.com", "made-up")
    assert not pool._callers  # pyright: ignore[reportPrivateUsage]


async def test_a_name_server_that_never_answers_does_not_keep_the_program_from_ending(dead: DeadServer) -> None:
    await jam(NamePool(), "hostile", 1)
    assert dead.daemons == [True]


async def test_a_name_is_looked_up_anew_once_its_lookup_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["93.184.216.34", "93.184.216.35"]

    def look_up(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (answers.pop(0), 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    pool = NamePool()
    assert [await pool.resolve("a.example.com") for _ in "12"] == [
        [ip_address("93.184.216.34")],
        [ip_address("93.184.216.35")],
    ]
