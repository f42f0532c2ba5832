"""Measuring results is bounded, and holds nobody up for what cannot be read."""

from __future__ import annotations

import io
import json
import struct
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import anyio
import av
import pytest
from PIL import Image

from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media import facts
from evolink_mcp.media.facts import Facts, Measurer
from evolink_mcp.media.fetch import Fetcher
from evolink_mcp.media.probe import MAX_PARSER_BYTES
from evolink_mcp.media.shares import Shares
from tests.contract import hostile_media as hostile
from tests.contract.keeping import ALICE, BOB
from tests.contract.servers import Host, answer, serving


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 20)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> anyio.Event:
    monkeypatch.setattr(facts, "MAX_LINK_SECONDS", 60.0)
    return anyio.Event()


@pytest.fixture
async def host(stuck: anyio.Event) -> AsyncIterator[Host]:
    """Gives pictures once it is no longer stuck."""

    async def said(_: str) -> bytes:
        await stuck.wait()
        return answer(picture())

    async with serving(said) as running:
        yield running
        stuck.set()


async def test_measurements_that_wait_are_bounded(
    host: Host, stuck: anyio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MAX_RUNNING", 6)
    measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
    links = [host.url(path=f"/{number}.png") for number in range(20)]
    for link in links[:4]:
        assert await measurer.measure(ALICE, [link], seconds=0) == [Facts()]
    assert await measurer.measure(BOB, links[4:], seconds=0) == [Facts()] * 16, "a call at once starts no more either"
    stuck.set()
    found = await measurer.measure(ALICE, links[:6], seconds=30)
    assert [each.width for each in found] == [32] * 6
    assert len(host.asked) == 6


async def test_one_owner_takes_neither_all_places_nor_all_connections(
    host: Host, stuck: anyio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MAX_RUNNING_OF_OWNER", 7)
    measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
    async with serving(answer(picture())) as quick:
        many = [host.url(path=f"/{number}.png") for number in range(10)]
        assert await measurer.measure(ALICE, many, seconds=0) == [Facts()] * 10
        assert [each.width for each in await measurer.measure(BOB, [quick.url()], seconds=30)] == [32]
        assert len(host.asked) <= facts.MAX_LINKS_OF_OWNER
    stuck.set()
    await measurer.measure(ALICE, many[:7], seconds=30)
    assert len(host.asked) == 7


async def test_an_owner_has_one_share_however_many_others_come() -> None:
    shares, held, most = Shares(100, 2), anyio.Event(), 0

    async def take(owner: str) -> None:
        nonlocal most
        async with shares.place(owner):
            most += owner == ALICE
            await held.wait()

    async with anyio.create_task_group() as group:
        for owner in (ALICE, *(f"{number:016x}" for number in range(90)), ALICE, ALICE, ALICE):
            group.start_soon(take, owner)
        await anyio.wait_all_tasks_blocked()
        assert most == 2
        held.set()
    assert most == 4


async def test_a_link_that_could_not_be_read_holds_up_no_call_for_a_while() -> None:
    async with serving(answer(b"gone", status="404 Not Found")) as host:
        measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
        for _ in range(3):
            assert await measurer.measure(ALICE, [host.url()], seconds=30) == [Facts()]
        assert len(host.asked) == 1


PNG_HEAD, PNG_REST = hostile.png(8, 8)[:33], hostile.png(8, 8)[33:]
RATES = struct.pack("<IHHIIHH", 16, 1, 65535, 2**32 - 1, 2**32 - 1, 65535, 64)
WILD = b"RIFF\xff\xff\xff\xffWAVEfmt " + RATES + b"data\xff\xff\xff\xff" + bytes(200)
CLAIMS: dict[str, bytes] = {
    # 4 GiB of sound of rates that nobody has
    "wav": WILD,
    # frames of 300 s that show nothing
    "png": PNG_HEAD + hostile.chunk(b"fcTL", bytes(20) + b"\x75\x30\0\x64\0\0") * 50 + PNG_REST,
    "gif": b"GIF89a\1\0\1\0\0\0\0" + b"!\xf9\4\0\xff\xff\0\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0" * 50 + b";",
}


@pytest.mark.parametrize("kind", CLAIMS)
async def test_a_length_that_no_file_of_its_size_has_is_not_told(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(CLAIMS[kind])
    (found,) = await Measurer(Fetcher(UrlGuard())).measure(ALICE, [tmp_path / "a"], seconds=30)
    assert found.mime_type is not None
    assert (found.duration_seconds, found.frame_rate) == (None, None)


def film(path: Path, hours: int) -> bytes:
    """A film of two pictures, hours apart, with its index in front."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as opened:
        output = cast("Any", opened)
        stream = output.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 32, 20, "yuv420p"
        frame = cast("Any", av.VideoFrame).from_image(Image.new("RGB", (32, 20)))
        for number in (0, 24 * 3600 * hours):
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file with a hole takes its whole size on some disks")
@pytest.mark.parametrize(("size", "hours", "seconds"), [(3 * 1024**3, 6, 21_600), (2 * 1024**4, 2, None)])
async def test_a_film_of_gigabytes_says_its_length_where_it_can_be_told(
    tmp_path: Path, size: int, hours: int, seconds: int | None
) -> None:
    content = film(tmp_path / "a.mp4", hours)
    content += bytes(facts.HEAD_BYTES - len(content))
    part = f"content-range: bytes 0-{len(content) - 1}/{size}"
    async with serving(answer(content, part, status="206 Partial Content")) as host:
        measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
        (found,) = await measurer.measure(ALICE, [host.url()], seconds=30)
    assert (found.width, found.bytes, found.duration_seconds) == (32, size, pytest.approx(seconds, abs=0.1))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not bound a process's memory")
async def test_a_header_that_unfolds_takes_little_memory_and_the_rest_is_told(tmp_path: Path) -> None:
    comment = hostile.chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"a" * 60_000_000, 9))
    (tmp_path / "a").write_bytes(hostile.png(8, 8, real=True, extra=comment))
    code = (
        "import asyncio, resource, sys; from evolink_mcp.media.decoding import decode\n"
        "print(asyncio.run(decode('probe', open(sys.argv[1], 'rb'), 'image/png')).decode())\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = await anyio.run_process([sys.executable, "-c", code, str(tmp_path / "a")])
    told, largest = done.stdout.decode().splitlines()
    assert json.loads(told)["width"] == 8
    assert int(largest) * 1024 < MAX_PARSER_BYTES
