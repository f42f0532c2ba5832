"""Results kept past the life of their links, and served at sealed addresses for a day at a time."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest

from evolink_mcp.jobs.ledger import owner_of
from evolink_mcp.media.shelf import SECRET
from evolink_mcp.settings import Settings
from evolink_mcp.transports.http import copies
from evolink_mcp.transports.http.options import HttpOptions
from tests.contract.asking import call
from tests.serving import Served, bearer, on, serving
from tests.support import KEY, FakeClock, Sandbox
from tests.unit.http.asking import reason

DAY = 86_400.0
OTHER = "sk-other-0123456789"


@pytest.fixture
def keeping(sandbox: Sandbox, tmp_path: Path) -> Settings:
    sandbox.fault("images", "other_result", size="64x64", times=0)  # small ones are drawn sooner
    return on(sandbox, keep_dir=tmp_path / "kept", toolsets=("media", "account"))


@pytest.fixture
async def served(keeping: Settings, clock: FakeClock) -> AsyncIterator[Served]:
    async with serving(keeping, clock=clock) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


async def make(http: httpx2.AsyncClient, url: str, key: str = KEY, **arguments: Any) -> dict[str, Any]:
    """A finished task, as the call that made it answers."""
    answer = await call(http, url, "generate_image", key, prompt="a red kite", wait_seconds=30, **arguments)
    assert answer["structuredContent"]["status"] == "completed", answer
    return answer


async def check(http: httpx2.AsyncClient, url: str, task_id: str, key: str = KEY) -> dict[str, Any]:
    return await call(http, url, "check_task", key, task_id=task_id, wait_seconds=0)


def result_of(answer: dict[str, Any]) -> dict[str, Any]:
    return answer["structuredContent"]["results"][0]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SECRET)


async def test_a_result_is_kept_and_served_at_an_address_of_this_server(
    served: Served, http: httpx2.AsyncClient, keeping: Settings
) -> None:
    answer = await make(http, served.url)
    result, text = result_of(answer), answer["content"][0]["text"]
    assert result["copy_url"].startswith(f"{served.url}/kept/")
    assert result["copy_url"] in text
    assert f"Copies are kept until {result['copy_until']} (in " in text
    response = await http.get(result["copy_url"])
    assert response.status_code == 200
    assert response.content == (await http.get(result["url"])).content
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"
    task_id = answer["structuredContent"]["task_id"]
    assert response.headers["content-disposition"] == f'inline; filename="{task_id}-1.png"'
    assert isinstance(keeping.keep_dir, Path)
    assert files(keeping.keep_dir) == [keeping.keep_dir / owner_of(KEY) / f"{task_id}-1.png"]
    numbers = (await http.get(f"{served.url}/metrics")).text
    assert f"evolink_mcp_kept_bytes {float(len(response.content))}\n" in numbers
    assert float(numbers.partition("\nevolink_mcp_kept_bytes_limit ")[2].split()[0]) == 50e9


async def test_a_result_outlives_its_link_and_its_address(
    served: Served, http: httpx2.AsyncClient, sandbox: Sandbox, clock: FakeClock
) -> None:
    made = await make(http, served.url)
    task_id, first = made["structuredContent"]["task_id"], result_of(made)
    content = (await http.get(first["copy_url"])).content
    clock.time += DAY + 60
    sandbox.advance(DAY + 60)
    assert (await http.get(first["url"])).status_code != 200
    late = await http.get(first["copy_url"])
    assert late.status_code == 410
    assert reason(late) == "address_gone"
    answer = await check(http, served.url, task_id)
    again = result_of(answer)
    assert again["url"] == again["copy_url"] != first["copy_url"]
    assert answer["content"][0]["text"].count(again["url"]) == 1
    assert "died" not in answer["content"][0]["text"]
    assert (again["width"], again["height"]) == (first["width"], first["height"])
    assert (await http.get(again["url"])).content == content
    listed = await call(http, served.url, "list_tasks", ids=[task_id])
    (copy_url,) = listed["structuredContent"]["tasks"][0]["copy_urls"]
    assert (await http.get(copy_url)).content == content
    shown = await call(http, served.url, "show_task", task_id=task_id, picture=1)
    assert shown["structuredContent"]["links"] == [shown["structuredContent"]["task"]["results"][0]["copy_url"]]
    assert [block["type"] for block in shown["content"]] == ["text", "image"]
    clock.time += 31 * DAY
    assert (await http.get(copy_url)).status_code == 410
    assert "copy_url" not in result_of(await check(http, served.url, task_id))


async def test_a_list_with_links_has_what_it_shows_kept_too(
    served: Served, http: httpx2.AsyncClient, sandbox: Sandbox
) -> None:
    made = await call(http, served.url, "generate_image", prompt="a red kite")
    task_id = made["structuredContent"]["task_id"]
    sandbox.settle()
    with anyio.fail_after(60):
        while True:
            listed = await call(http, served.url, "list_tasks", ids=[task_id])
            if urls := listed["structuredContent"]["tasks"][0].get("copy_urls"):
                break
            await anyio.sleep(0.2)
    assert (await http.get(urls[0])).status_code == 200


async def test_a_task_that_the_gateway_has_forgotten_is_answered_with_what_is_kept(
    served: Served, http: httpx2.AsyncClient, sandbox: Sandbox
) -> None:
    made = await make(http, served.url)
    sandbox.fault("task", "status", status=404, times=0)
    answer = await check(http, served.url, made["structuredContent"]["task_id"])
    assert answer["isError"]
    address = answer["content"][0]["text"].partition("nothing is lost: ")[2].split()[0]
    assert (await http.get(address)).status_code == 200


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_the_gateway_takes_no_longer_gets_no_address(
    served: Served, http: httpx2.AsyncClient, sandbox: Sandbox, status: int
) -> None:
    made = await make(http, served.url)
    sandbox.fault("task", "status", status=status, times=0)
    answer = await check(http, served.url, made["structuredContent"]["task_id"])
    assert answer["isError"]
    assert "/kept/" not in str(answer)


async def test_a_film_is_served_in_parts(served: Served, http: httpx2.AsyncClient) -> None:
    made = await make(http, served.url)
    address = result_of(made)["copy_url"]
    whole = (await http.get(address)).content
    part = await http.get(address, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert (await http.get(address, headers={"range": "bytes=-5"})).content == whole[-5:]
    for start in (len(whole), len(whole) + 1000):
        beyond = await http.get(address, headers={"range": f"bytes={start}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole)}")
    head = await http.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole))
    assert head.headers["accept-ranges"] == "bytes"
    posted = await http.post(address)
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_an_address_names_one_file_and_cannot_be_made_up(
    served: Served, http: httpx2.AsyncClient, keeping: Settings
) -> None:
    made = await make(http, served.url)
    address = result_of(made)["copy_url"]
    sealed = address.rpartition("/")[2].removesuffix(".png")
    assert owner_of(KEY) not in address
    assert KEY not in address
    flipped = f"{sealed[:60]}{'A' if sealed[60] != 'A' else 'B'}{sealed[61:]}"
    for name in (
        f"{sealed}.mp4",
        sealed,
        f"{flipped}.png",
        f"{sealed[:-3]}.png",
        "x.png",
        f"..%2f{SECRET}",
        SECRET,
        "",
    ):
        response = await http.get(f"{served.url}/kept/{name}")
        assert response.status_code == 404, name
    other = await make(http, served.url, OTHER)
    strangers = await check(http, served.url, made["structuredContent"]["task_id"], OTHER)
    assert "/kept/" not in strangers["content"][0]["text"] or address not in strangers["content"][0]["text"]
    assert result_of(other)["copy_url"] != address
    assert (await http.get(address, headers=bearer(OTHER))).status_code == 200  # whoever has it may


async def test_what_is_removed_or_sealed_with_another_secret_is_gone_at_once(
    served: Served, http: httpx2.AsyncClient, keeping: Settings
) -> None:
    made = await make(http, served.url)
    address, task_id = result_of(made)["copy_url"], made["structuredContent"]["task_id"]
    assert isinstance(keeping.keep_dir, Path)
    secret = keeping.keep_dir / SECRET
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(keeping.keep_dir.stat().st_mode) == 0o700
    before = secret.read_bytes()
    secret.unlink()
    assert (await http.get(address)).status_code == 404
    assert secret.read_bytes() != before
    secret.write_bytes(before)
    assert (await http.get(address)).status_code == 200
    for path in files(keeping.keep_dir):
        path.unlink()
    assert (await http.get(address)).status_code == 404
    assert (await http.get(result_of(await check(http, served.url, task_id))["copy_url"])).status_code == 200


async def test_a_result_that_cannot_be_kept_is_told_beside_its_link(
    served: Served, http: httpx2.AsyncClient, keeping: Settings, sandbox: Sandbox
) -> None:
    assert isinstance(keeping.keep_dir, Path)
    (keeping.keep_dir / owner_of(KEY)).write_text("in the way")
    made = await make(http, served.url)
    assert not made.get("isError")
    assert (await http.get(result_of(made)["url"])).status_code == 200
    assert "copy_url" not in result_of(made)
    (note,) = [each for each in made["structuredContent"]["notes"] if "has no copy" in each]
    assert str(keeping.keep_dir) not in note
    (keeping.keep_dir / owner_of(KEY)).unlink()
    assert "copy_url" in result_of(await check(http, served.url, made["structuredContent"]["task_id"]))


async def test_so_many_are_sent_at_once_and_others_are_told_to_come_again(
    served: Served, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = result_of(await make(http, served.url))["copy_url"]
    for name in ("MAX_SERVED", "MAX_SERVED_OF_OWNER"):
        with monkeypatch.context() as patch:
            patch.setattr(copies, name, 0)
            busy = await http.get(address)
            assert (busy.status_code, reason(busy)) == (503, "too_much_at_once")
            assert busy.headers["retry-after"]
    for _ in range(2):
        assert (await http.get(address)).status_code == 200


async def test_who_takes_a_result_in_drops_loses_the_place_to_others(
    served: Served, http: httpx2.AsyncClient, keeping: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = result_of(await make(http, served.url))["copy_url"]
    assert isinstance(keeping.keep_dir, Path)
    (file,) = files(keeping.keep_dir)
    with file.open("r+b") as grown:  # more than what the system holds on the way
        grown.truncate(64 * 1024 * 1024)
    monkeypatch.setattr(copies, "MAX_SERVED_OF_OWNER", 1)
    monkeypatch.setattr(copies, "SPAN_SECONDS", 0.3)
    monkeypatch.setattr(copies, "SPAN_BYTES", file.stat().st_size)
    parts = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
    writer.write(f"GET {urlsplit(str(address)).path} HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode())
    try:
        with anyio.fail_after(60):
            assert b"200" in await reader.readline()
            while (await http.head(address)).status_code == 503:
                await reader.read(1024)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(file.stat().st_size)
    finally:
        writer.close()


async def test_an_address_is_that_by_which_clients_know_the_server(keeping: Settings, http: httpx2.AsyncClient) -> None:
    options = HttpOptions(public_url="https://mcp.example.com/evolink")
    async with serving(keeping, options) as served:
        address = result_of(await make(http, served.url))["copy_url"]
        assert address.startswith("https://mcp.example.com/evolink/kept/")
        local = address.replace("https://mcp.example.com", served.url)
        assert (await http.get(local)).status_code == 200


async def test_nothing_is_kept_where_the_operator_wants_none(sandbox: Sandbox, http: httpx2.AsyncClient) -> None:
    async with serving(on(sandbox)) as served:
        assert "copy_url" not in result_of(await make(http, served.url))
        assert (await http.get(f"{served.url}/kept/x.png")).status_code == 404
