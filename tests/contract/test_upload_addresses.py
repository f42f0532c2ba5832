"""One-time addresses for files: taken once, from their owner, in time, of a kind that is stored, never held whole."""

from __future__ import annotations

import base64
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest

from evolink_mcp.jobs.shared import store
from evolink_mcp.jobs.shared.store import Store
from evolink_mcp.settings import Token
from evolink_mcp.transports.http import uploads
from evolink_mcp.transports.http.options import HttpOptions
from tests.contract.asking import call, two_people
from tests.programs import RedisServer
from tests.serving import Served, bearer, on, serving
from tests.support import KEY, Sandbox, png
from tests.unit.http.asking import reason

MIB = 1024 * 1024
FILM = b"\0\0\0\x18ftypmp42" + b"\0" * 116
OTHER = "sk-other-0123456789"


@pytest.fixture
async def served(sandbox: Sandbox) -> AsyncIterator[Served]:
    async with serving(on(sandbox)) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


async def address_of(http: httpx2.AsyncClient, url: str, **names: str) -> str:
    answer = await call(http, url, "upload_file", **names)
    assert "structuredContent" in answer, answer
    content = answer["structuredContent"]
    assert content["command"] == f"curl -T FILE '{content['upload_url']}'"
    return content["upload_url"]


async def test_a_file_arrives_under_the_name_it_was_given(
    served: Served, http: httpx2.AsyncClient, sandbox: Sandbox
) -> None:
    address = await address_of(http, served.url, file_name="cat.png", upload_path="pets")
    assert address.startswith(f"{served.url}/upload/")
    assert KEY not in address
    response = await http.put(address, content=png())
    assert response.status_code == 200
    stored = response.json()
    assert stored["mime_type"] == "image/png"
    assert (await http.get(stored["file_url"])).content == png()
    listed = (await call(http, served.url, "list_files"))["structuredContent"]["files"]
    assert [file["file_name"] for file in listed] == ["cat.png"]


async def test_an_address_takes_one_file(served: Served, http: httpx2.AsyncClient) -> None:
    address = await address_of(http, served.url)
    assert (await http.put(address, content=png())).status_code == 200
    again = await http.put(address, content=png())
    assert again.status_code == 410
    assert reason(again) == "address_used"


async def test_an_address_is_not_for_another_caller(served: Served, http: httpx2.AsyncClient) -> None:
    address = await address_of(http, served.url)
    response = await http.put(address, content=png(), headers=bearer(OTHER))
    assert response.status_code == 403
    assert (await http.put(address, content=png(), headers=bearer(KEY))).status_code == 200


async def test_an_address_that_is_old_or_made_up_is_over(
    served: Served, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = await address_of(http, served.url)
    for made_up in (f"{served.url}/upload/x", address[:-4], address.replace("gAAAA", "hAAAA")):
        assert (await http.put(made_up, content=png())).status_code == 410
    monkeypatch.setattr(uploads, "LIFE_SECONDS", -1)
    late = await http.put(address, content=png())
    assert late.status_code == 410
    assert reason(late) == "address_gone"


async def test_made_up_addresses_leave_the_store_alone(
    sandbox: Sandbox, http: httpx2.AsyncClient, redis: RedisServer, stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asked() -> int:
        stats = await stores[0].ask("INFO", "commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("set", "get"))

    monkeypatch.setattr(uploads, "RETRY_SECONDS", 30.0)  # as if all of it came in a second
    settings = on(sandbox, state_url=redis.url)
    async with serving(settings) as one, serving(settings) as other:
        first, before = await address_of(http, one.url), await asked()
        for number in range(20):
            assert (await http.put(f"{other.url}/upload/gAAAA{number}", content=b"x")).status_code == 410
        assert await asked() - before <= 2
        taken = await http.put(first.replace(one.url, other.url), content=png())
        assert taken.status_code == 200, taken.text
        monkeypatch.setattr(uploads, "RETRY_SECONDS", 0.0)
        await stores[0].ask("FLUSHALL")
        later = (await address_of(http, one.url)).replace(one.url, other.url)  # sealed with another secret
        assert (await http.put(later, content=png())).status_code == 200


@pytest.mark.parametrize("content", [b"MZ" + b"\0" * 100, b"<html>" + b" " * 100, b"%PDF-1.7" + b" " * 50, b"x"])
async def test_a_file_of_the_wrong_kind_is_refused_and_the_address_stays_good(
    served: Served, http: httpx2.AsyncClient, sandbox: Sandbox, content: bytes
) -> None:
    address = await address_of(http, served.url)
    response = await http.put(address, content=content)
    assert response.status_code == 415
    assert not sandbox.requests("upload")
    assert (await http.put(address, content=png())).status_code == 200


async def test_the_size_is_told_first_and_bounded(served: Served, http: httpx2.AsyncClient) -> None:
    async def unsized() -> AsyncGenerator[bytes]:
        yield png()

    address = await address_of(http, served.url)
    assert (await http.put(address, content=unsized())).status_code == 411
    assert (await http.put(address, content=b"")).status_code == 413
    parts = urlsplit(address)
    async with await anyio.connect_tcp("127.0.0.1", parts.port or 0) as stream:
        head = f"PUT {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: {101 * MIB}\r\n\r\n"
        await stream.send(head.encode())
        assert b" 413 " in await stream.receive()
    assert (await http.get(address)).status_code == 405


async def test_where_all_places_are_taken_the_slowest_file_makes_room(
    served: Served, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made-up keys cost nothing: a byte now and then, under eight of them, kept everybody else out."""
    monkeypatch.setattr(uploads, "MAX_IN_ALL", 1)
    slow, address = urlsplit(await address_of(http, served.url)), await address_of(http, served.url)
    async with await anyio.connect_tcp("127.0.0.1", slow.port or 0) as stream:
        await stream.send(f"PUT {slow.path} HTTP/1.1\r\nhost: {slow.netloc}\r\ncontent-length: 1000\r\n\r\nx".encode())
        with anyio.fail_after(60):
            while not served.application.uploads.under_way:
                await anyio.sleep(0.01)
        refused = await http.put(address, content=png())
        assert (refused.status_code, reason(refused)) == (503, "too_much_at_once")
        monkeypatch.setattr(uploads, "SLOW_SECONDS", 0.0)
        assert (await http.put(address, content=png())).status_code == 200
        assert b" 503 " in await stream.receive()
    assert served.application.uploads.under_way == 0
    assert (await http.put(slow.geturl(), content=png())).status_code == 200, "nothing was stored under its address"


async def test_a_caller_has_only_some_of_the_places(
    served: Served, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_OF_CALLER", 1)
    first, second = [await address_of(http, served.url) for _ in range(2)]
    other = await call(http, served.url, "upload_file", OTHER)
    parts = urlsplit(first)
    async with await anyio.connect_tcp("127.0.0.1", parts.port or 0) as stream:
        await stream.send(f"PUT {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: 9\r\n\r\n".encode())
        with anyio.fail_after(60):
            while not served.application.uploads.under_way:
                await anyio.sleep(0.01)
        refused = await http.put(second, content=png())
        assert (refused.status_code, reason(refused)) == (429, "too_much_at_once")
        assert (await http.put(other["structuredContent"]["upload_url"], content=png())).status_code == 200
    with anyio.fail_after(60):
        while served.application.uploads.under_way:
            await anyio.sleep(0.01)
    assert (await http.put(second, content=png())).status_code == 200, "its address was not used"


async def test_a_file_of_100_mb_passes_through_in_pieces(
    served: Served, http: httpx2.AsyncClient, sandbox: Sandbox
) -> None:
    piece = b"\0" * MIB

    async def film() -> AsyncGenerator[bytes]:
        yield FILM + piece[len(FILM) :]
        for _ in range(99):
            yield piece

    address = await address_of(http, served.url)
    tracemalloc.start()
    try:
        response = await http.put(address, content=film(), headers={"content-length": str(100 * MIB)})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert response.status_code == 200
    assert response.json()["file_size"] == 100 * MIB
    assert most < 16 * MIB


async def test_people_who_share_an_account_do_not_overwrite_each_others_files(sandbox: Sandbox) -> None:
    async with two_people(sandbox) as (http, url, alice, bob):
        pictures, stored = {alice: png(8), bob: png(16)}, dict[str, dict[str, Any]]()
        for token, picture in pictures.items():
            made = await call(http, url, "upload_file", token, file_name="cat.png")
            stored[token] = (await http.put(made["structuredContent"]["upload_url"], content=picture)).json()
        for token, picture in pictures.items():
            assert (await http.get(stored[token]["file_url"])).content == picture
            files = (await call(http, url, "list_files", token))["structuredContent"]["files"]
            assert [file["file_id"] for file in files] == [stored[token]["file_id"]]
        refused = await call(http, url, "delete_file", bob, file_id=stored[alice]["file_id"])
        assert refused["isError"]
        assert "[not_yours]" in refused["content"][0]["text"]


async def test_who_shares_an_account_sees_of_its_files_only_their_own(sandbox: Sandbox) -> None:
    data = base64.b64encode(png()).decode()
    async with two_people(sandbox) as (http, url, alice, bob):
        made = await call(http, url, "upload_file", alice, base64_data=data)
        elsewhere = f"{sandbox.url}/api/v1/files/upload/base64"
        stored = await http.post(elsewhere, json={"base64_data": data}, headers={"authorization": f"Bearer {KEY}"})
        assert stored.json()["success"]
        hers, his = [(await call(http, url, "list_files", each))["structuredContent"] for each in (alice, bob)]
    assert [file["file_id"] for file in hers["files"]] == [made["structuredContent"]["file_id"]]
    assert his["files"] == []


async def test_while_the_store_is_away_nobody_is_taken_for_the_owner_of_what_another_replica_made(
    sandbox: Sandbox, http: httpx2.AsyncClient
) -> None:
    token, away = "a-token-of-alice-0123", "redis://127.0.0.1:9/0"
    settings = on(sandbox, api_key=KEY, mcp_tokens=(Token(sha256(token.encode()).hexdigest(), "alice"),))
    options = HttpOptions(auth="token")
    async with serving(replace(settings, state_url=away), options) as one, serving(settings, options) as other:
        made = await call(http, other.url, "generate_image", token, prompt="a red kite")
        task = made["structuredContent"]["task_id"]
        unsure = await call(http, one.url, "check_task", token, task_id=task, wait_seconds=0)
        assert "[owner_unknown]" in unsure["content"][0]["text"]
        stored = await call(http, other.url, "upload_file", token, base64_data=base64.b64encode(png()).decode())
        kept = await call(http, one.url, "delete_file", token, file_id=stored["structuredContent"]["file_id"])
        assert "[owner_unknown]" in kept["content"][0]["text"]
        own = (await call(http, one.url, "generate_image", token, prompt="a red kite"))["structuredContent"]["task_id"]
        assert not (await call(http, one.url, "check_task", token, task_id=own, wait_seconds=0)).get("isError")


async def test_the_address_is_that_by_which_clients_know_the_server(sandbox: Sandbox, http: httpx2.AsyncClient) -> None:
    options = HttpOptions(public_url="https://mcp.example.com/evolink")
    async with serving(on(sandbox), options) as served:
        address = await address_of(http, f"{served.url}/evolink")
        assert address.startswith("https://mcp.example.com/evolink/upload/")
        local = address.replace("https://mcp.example.com", served.url)
        assert (await http.put(local, content=png())).status_code == 200


async def test_an_address_outlives_what_happens_to_the_store(
    sandbox: Sandbox, http: httpx2.AsyncClient, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "REST_SECONDS", 0.0)
    monkeypatch.setattr(uploads, "SECRET_SECONDS", 0.0)
    async with serving(on(sandbox, state_url=redis.url)) as served:

        async def taken(address: str) -> None:
            response = await http.put(address, content=png())
            assert response.status_code == 200, response.text

        redis.stop()
        away = await address_of(http, served.url)
        redis.start()
        await taken(away)
        there = await address_of(http, served.url)
        redis.stop()
        await taken(there)
        again = await address_of(http, served.url)
        redis.start()  # it has lost its secret
        await taken(await address_of(http, served.url))
        await taken(again)
