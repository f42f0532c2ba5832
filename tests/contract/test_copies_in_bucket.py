"""Replicas that keep results in one bucket: what one kept, the other serves, as from a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import obstore
import pytest
from obstore.store import MemoryStore

from evolink_mcp.errors import SettingsError
from evolink_mcp.media import bucket_shelf, keeper
from evolink_mcp.media.buckets import pages_of
from evolink_mcp.media.shelf import SECRET, Away, ShelfError
from evolink_mcp.settings import Settings
from evolink_mcp.settings.places import Bucket
from tests.contract.asking import call
from tests.contract.test_copies import DAY, check, make, result_of
from tests.serving import on, serving
from tests.support import FakeClock, Sandbox
from tests.unit.http.asking import reason


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """The bucket of all replicas."""
    store = MemoryStore()

    def open_bucket(_: Bucket) -> MemoryStore:
        return store

    monkeypatch.setattr(bucket_shelf, "open_bucket", open_bucket)
    return store


@pytest.fixture
def keeping(sandbox: Sandbox, store: MemoryStore) -> Settings:
    sandbox.fault("images", "other_result", size="64x64", times=0)  # small ones are drawn sooner
    return on(sandbox, keep_dir=Bucket("results", "kept"), toolsets=("media", "account"))


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


async def test_what_one_replica_kept_another_serves_after_its_link_has_died(
    keeping: Settings, store: MemoryStore, http: httpx2.AsyncClient, sandbox: Sandbox, clock: FakeClock
) -> None:
    async with serving(keeping, clock=clock) as one, serving(keeping, clock=clock) as two:
        made = await make(http, one.url)
        task_id, first = made["structuredContent"]["task_id"], result_of(made)
        content = (await http.get(first["url"])).content
        address = first["copy_url"].replace(one.url, two.url)
        whole = await http.get(address)
        assert (whole.status_code, whole.content) == (200, content)
        assert whole.headers["content-type"] == "image/png"
        assert whole.headers["content-disposition"] == f'inline; filename="{task_id}-1.png"'
        assert whole.headers["x-content-type-options"] == "nosniff"
        part = await http.get(address, headers={"range": "bytes=10-19", "if-range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, content[10:20])
        changed = await http.get(address, headers={"range": "bytes=10-19", "if-range": '"another"'})
        assert (changed.status_code, changed.content) == (200, content)
        head = await http.head(address)
        assert (head.content, head.headers["content-length"]) == (b"", str(len(content)))
        numbers = (await http.get(f"{one.url}/metrics")).text
        assert f"evolink_mcp_kept_bytes {float(len(content))}\n" in numbers
        assert 'evolink_mcp_keep_failures_total{reason="place"} 0.0\n' in numbers
        clock.time += DAY + 60
        sandbox.advance(DAY + 60)
        assert (await http.get(address)).status_code == 410
        again = result_of(await check(http, two.url, task_id))
        assert again["url"] == again["copy_url"]
        assert (await http.get(again["url"])).content == content
        looked = await call(http, two.url, "check_task", task_id=task_id, wait_seconds=0, preview=True)
        assert "image" in [block["type"] for block in looked["content"]]
        shown = await call(http, two.url, "show_task", task_id=task_id, picture=1)
        assert [block["type"] for block in shown["content"]] == ["text", "image"]
        for page in pages_of(store, None):
            await obstore.delete_async(store, [each["path"] for each in page if each["path"] != SECRET])
        assert (await http.get(again["url"])).status_code == 404


async def test_a_bucket_that_is_away_costs_the_address_and_not_the_call(
    keeping: Settings, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(keeping) as served:
        made = await make(http, served.url)
        address = result_of(made)["copy_url"]

        def away(*_: object) -> object:
            raise Away("the bucket does not answer")

        with monkeypatch.context() as patch:
            patch.setattr(bucket_shelf.BucketShelf, "asking", away)
            other = await make(http, served.url)
            assert "copy_url" not in result_of(other)
            (note,) = [each for each in other["structuredContent"]["notes"] if "has no copy" in each]
            assert "the bucket does not answer" in note
            response = await http.get(address)
            assert (response.status_code, reason(response), response.headers["retry-after"]) == (503, "away", "10")
            listed = await call(http, served.url, "list_tasks", ids=[made["structuredContent"]["task_id"]])
            assert not listed.get("isError")
        assert 'keep_failures_total{reason="place"}' in (await http.get(f"{served.url}/metrics")).text
        assert (await http.get(address)).status_code == 200


async def test_a_list_of_tasks_asks_the_bucket_once_for_each(
    keeping: Settings, http: httpx2.AsyncClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    async def watch(store: MemoryStore, below: str | None) -> AsyncIterator[object]:
        asked.append(below)
        async for page in pages_of(store, below):
            yield page

    async with serving(keeping) as served:
        made = [await call(http, served.url, "generate_image", prompt=f"kite {n}") for n in range(6)]
        ids = [each["structuredContent"]["task_id"] for each in made]
        sandbox.settle()
        monkeypatch.setattr(keeper, "MAX_WAITING", 0)  # nothing is begun behind the answer
        monkeypatch.setattr(bucket_shelf, "pages_of", watch)
        listed = await call(http, served.url, "list_tasks", ids=ids)
        assert len(listed["structuredContent"]["tasks"]) == 6
    assert len(asked) == 6


async def test_a_bucket_that_refuses_stops_the_start_and_one_that_is_away_does_not(
    keeping: Settings, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: object) -> None:
        raise ShelfError("the bucket refuses access (AccessDenied)")

    def away(_: object) -> None:
        raise Away("the bucket does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(bucket_shelf.BucketShelf, "prepare", refuse)
        with pytest.raises(SettingsError, match=r"s3://results/kept cannot be used \(the bucket refuses access"):
            async with serving(keeping):
                pass
        patch.setattr(bucket_shelf.BucketShelf, "prepare", away)
        async with serving(keeping) as served:
            assert "s3://results/kept cannot be used now" in caplog.text
            assert result_of(await make(http, served.url))["copy_url"]
