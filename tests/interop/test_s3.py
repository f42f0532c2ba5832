"""Results kept in a bucket of S3 as moto speaks it: parts, conditions and lists by software that nobody here wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream

from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.jobs.seal import LocalSeal
from evolink_mcp.media.bucket_shelf import BucketShelf
from evolink_mcp.media.buckets import pages_of
from evolink_mcp.media.fetch import Fetcher
from evolink_mcp.media.keeper import Keeper
from evolink_mcp.media.shelf import SECRET, Bounds, Copy, ShelfError
from evolink_mcp.settings.places import Bucket
from tests.contract.keeping import ALICE, ROOM, keep
from tests.contract.saving import task
from tests.contract.servers import PNG, answer, serving
from tests.contract.test_copies import make, result_of
from tests.interop.software import pinned
from tests.serving import on
from tests.serving import serving as served_with
from tests.support import Sandbox

FILM = 100 * 1024 * 1024
# It makes the bucket, tells where it is, and ends with its input.
S3 = """
import sys, urllib.request
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://127.0.0.1:%d" % server.get_host_and_port()[1]
urllib.request.urlopen(urllib.request.Request(url + "/results", method="PUT"))
sys.stderr.write("serving " + url + "\\n")
sys.stderr.flush()
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    environ = {**os.environ, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "NO_PROXY": "127.0.0.1"}
    command = [str(pinned("moto")), "-c", S3]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        try:
            lines = iter(process.stderr.readline, "")
            yield next(line.split()[1] for line in lines if line.startswith("serving "))
        finally:
            process.stdin.close()
            process.terminate()


@pytest.fixture(autouse=True)
def credentials(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any-secret-of-a-bucket")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


def new_keeper(prefix: str, bounds: Bounds = ROOM) -> Keeper:
    shelf = BucketShelf(Bucket("results", prefix), bounds)
    shelf.prepare()
    return Keeper(Fetcher(UrlGuard(allow_loopback=True)), shelf, LocalSeal())


def names(prefix: str) -> list[str]:
    store = BucketShelf(Bucket("results", prefix), ROOM).store
    return sorted(meta["path"] for page in pages_of(store, None) for meta in page if meta["path"] != SECRET)


async def unfinished(http: httpx2.AsyncClient, s3: str) -> int:
    return (await http.get(f"{s3}/results?uploads")).text.count("<Upload>")


async def test_two_replicas_keep_and_serve_results_from_one_bucket(sandbox: Sandbox, http: httpx2.AsyncClient) -> None:
    settings = on(sandbox, keep_dir=Bucket("results", "team/kept"))
    async with served_with(settings) as one, served_with(settings) as two:
        made = await make(http, one.url)
        content = (await http.get(result_of(made)["url"])).content
        address = result_of(made)["copy_url"].replace(one.url, two.url)
        assert (await http.get(address)).content == content
        part = await http.get(address, headers={"range": "bytes=-100"})
        assert (part.status_code, part.content) == (206, content[-100:])


@asynccontextmanager
async def film() -> AsyncGenerator[str]:
    """The link of a film that is made while it is read."""
    block = bytes(range(256)) * 4096

    async def send(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer(PNG, length=len(PNG) + FILM))
            for _ in range(FILM // len(block)):
                await stream.send(block)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, send)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/film"
        group.cancel_scope.cancel()


async def test_a_film_of_100_mb_goes_in_and_out_in_little_memory(http: httpx2.AsyncClient, s3: str) -> None:
    keeper, size = new_keeper("films", Bounds(1000, 10**9, 10**9)), len(PNG) + FILM
    async with film() as link:
        before = peak_of_memory(anew=True)
        (kept,) = await keeper.keep(ALICE, task(link), seconds=120)
        assert isinstance(kept, Copy)
        async with keeper.shelf.open(ALICE, kept.name) as opened:
            assert sum([len(piece) async for piece in opened.read(0, size)]) == kept.size == size
    assert peak_of_memory() - before < 64 * 1024 * 1024
    assert await unfinished(http, s3) == 0


def peak_of_memory(*, anew: bool = False) -> int:
    """The most bytes of memory that this process has had, since it was last asked anew."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


async def test_what_breaks_off_leaves_neither_an_object_nor_parts(http: httpx2.AsyncClient, s3: str) -> None:
    keeper = new_keeper("broken")
    async with serving(answer(PNG + b"x" * 12_000_000, length=20_000_000)) as host:
        assert "could not be read" in str(await keep(keeper, host.url()))
    assert await unfinished(http, s3) == 0
    going = anyio.Event()

    async def write() -> None:
        async with keeper.shelf.draft(ALICE, "task-2-1") as draft:
            await draft.write(PNG + b"x" * 12_000_000)
            going.set()
            await anyio.sleep_forever()

    with suppress(TimeoutError):
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            await going.wait()
            group.cancel_scope.cancel()
    assert await unfinished(http, s3) == 0
    assert names("broken") == []


async def test_bounds_hold_and_the_oldest_go(http: httpx2.AsyncClient) -> None:
    size = len(PNG)
    keeper = new_keeper("small", Bounds(1000, 3 * size, 3 * size))
    async with serving() as host:
        for number in range(5):
            await keep(keeper, host.url(), f"task-{number}")
    assert len(names("small")) == 3
    assert f"{ALICE}/task-4/task-4-1.png" in names("small")


async def test_replicas_that_start_at_once_agree_on_a_secret() -> None:
    shelves = [BucketShelf(Bucket("results", "secret"), ROOM) for _ in range(4)]
    async with anyio.create_task_group() as group:
        for shelf in shelves:
            group.start_soon(anyio.to_thread.run_sync, shelf.prepare)
    assert len({await shelf.secret() for shelf in shelves}) == 1


def test_a_bucket_that_is_not_there_is_told_at_start() -> None:
    with pytest.raises(ShelfError, match="there is no such bucket"):
        BucketShelf(Bucket("absent"), ROOM).prepare()


def test_the_program_says_so_too() -> None:
    command = [sys.executable, "-m", "evolink_mcp", "http", "--port", "0", "--keep", "s3://absent/kept"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode != 0
    assert "s3://absent/kept cannot be used (there is no such bucket)" in ended.stderr
