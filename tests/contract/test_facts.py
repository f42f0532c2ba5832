"""Facts of results: of every format, of saved files and of links, measured once, and nothing that fails a call."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
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
from evolink_mcp.sandbox.film import shoot
from evolink_mcp.sandbox.sound import play
from evolink_mcp.sandbox.work import Film, SoundFormat, Tone
from tests.contract import hostile_media as hostile
from tests.contract.keeping import ALICE
from tests.contract.servers import Host, answer, serving

PICTURES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif", "AVIF": "image/avif"}
SOUNDS: dict[SoundFormat, str] = {"mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg"}


def picture(kind: str, *, alpha: bool = False, size: tuple[int, int] = (320, 200)) -> bytes:
    out = io.BytesIO()
    image = Image.new("RGBA", size, (200, 10, 10, 0 if alpha else 255))
    (image if alpha else image.convert("RGB")).save(out, kind)
    return out.getvalue()


def film(path: Path, *, sound: bool = True, index_last: bool = False) -> bytes:
    """Two seconds of 854 × 480 as MP4 or MOV, by the path's ending; with its index at the end where that is wanted."""
    shoot(Film("x", "m", 480, (16, 9), 2, sound), path.with_suffix(".a.mp4"), lambda: True)
    if index_last or path.suffix == ".mov":
        with av.open(str(path.with_suffix(".a.mp4"))) as source, av.open(str(path), "w") as opened:
            output = cast("Any", opened)
            streams = {each: output.add_stream_from_template(each) for each in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream]
                    output.mux(packet)
        return path.read_bytes()
    return path.with_suffix(".a.mp4").read_bytes()


def webm(path: Path) -> bytes:
    with av.open(str(path), "w", format="webm") as opened:
        output = cast("Any", opened)
        stream = output.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        frame = cast("Any", av.VideoFrame).from_image(Image.new("RGB", (160, 90)))
        for number in range(25):
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path.read_bytes()


def m4a(path: Path) -> bytes:
    film(path.with_suffix(".mp4"))
    with av.open(str(path.with_suffix(".a.mp4"))) as source, av.open(str(path), "w", format="ipod") as opened:
        output = cast("Any", opened)
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return path.read_bytes()


def ranged(host: Host, content: bytes) -> bytes:
    """What a host that knows ranges answers to the request it got last."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", host.asked[-1][1].get("range", ""))
    assert asked
    start, end = int(asked[1]), min(int(asked[2]) + 1, len(content))
    return answer(
        content[start:end], f"content-range: bytes {start}-{end - 1}/{len(content)}", status="206 Partial Content"
    )


async def of_file(path: Path, content: bytes) -> Facts:
    path.write_bytes(content)
    measurer = Measurer(Fetcher(UrlGuard()))
    return (await measurer.measure(ALICE, [path], seconds=30))[0]


async def of_link(content: bytes, *, ranges: bool = True) -> tuple[Facts, int]:
    """The facts of a link, and how many requests they took."""
    host: Host

    def said(_: str) -> bytes:
        return ranged(host, content) if ranges else answer(content)

    async with serving(said) as host:
        measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
        (found,) = await measurer.measure(ALICE, [host.url()], seconds=30)
        return found, len(host.asked)


@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("kind", PICTURES)
async def test_pictures_say_their_size_and_whether_a_part_is_transparent(
    tmp_path: Path, kind: str, alpha: bool
) -> None:
    content = picture(kind, alpha=alpha and kind != "JPEG")
    expected = Facts(PICTURES[kind], len(content), 320, 200, has_alpha=alpha and kind != "JPEG")
    assert await of_file(tmp_path / "a", content) == expected
    assert await of_link(content) == (expected, 1)


async def test_an_alpha_channel_in_which_nothing_is_transparent_is_none(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (1, 2, 3, 255)).save(out, "PNG")
    assert (await of_file(tmp_path / "a", out.getvalue())).has_alpha is False


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("sound", [True, False])
async def test_films_say_their_seconds_and_sound(tmp_path: Path, name: str, sound: bool) -> None:
    content = film(tmp_path / name, sound=sound)
    found = await of_file(tmp_path / "b", content)
    kind = "video/mp4" if name == "a.mp4" else "video/quicktime"
    assert found == Facts(kind, len(content), 854, 480, 2.0, 24.0, sound)
    assert (await of_link(content))[0] == found


async def test_a_webm_says_its_seconds(tmp_path: Path) -> None:
    content = webm(tmp_path / "a.webm")
    expected = Facts("video/webm", len(content), 160, 90, 1.0, 25.0, has_audio=False)
    assert await of_file(tmp_path / "b", content) == expected
    assert (await of_link(content))[0] == expected


async def test_a_slide_show_of_a_few_bytes_a_second_says_its_length(tmp_path: Path) -> None:
    frames, path = [Image.new("L", (40, 30), 80 * number) for number in range(3)], tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=20_000)
    content = path.read_bytes()
    assert (await of_file(path, content + bytes(20 * 60 - len(content)))).duration_seconds == 60


@pytest.mark.parametrize("kind", [*SOUNDS, "m4a"])
async def test_sounds_say_their_seconds(tmp_path: Path, kind: str) -> None:
    if kind == "m4a":
        content = m4a(tmp_path / "a.m4a")
    else:
        play(Tone("x", 2, cast("SoundFormat", kind)), tmp_path / "a")
        content = (tmp_path / "a").read_bytes()
    found = await of_file(tmp_path / "b", content)
    assert found.mime_type == SOUNDS.get(cast("SoundFormat", kind), "audio/mp4")
    assert found.duration_seconds == pytest.approx(2.0, abs=0.1)
    assert found.has_audio is True
    assert found.width is None
    assert (await of_link(content))[0] == found


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
async def test_a_picture_that_moves_says_for_how_long(tmp_path: Path, ending: str) -> None:
    frames = [Image.new("RGB", (40, 30), (60 * step, 0, 0)) for step in range(4)]
    path = tmp_path / f"a.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 300, 500, 100])
    found = await of_file(path, path.read_bytes())
    assert (found.width, found.height, found.duration_seconds, found.frame_rate) == (40, 30, 1.0, 4.0)
    frames[0].save(path)
    assert (await of_file(path, path.read_bytes())).duration_seconds is None


async def test_of_a_large_link_only_the_parts_that_tell_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = film(tmp_path / "a.mp4", index_last=True)
    monkeypatch.setattr(facts, "HEAD_BYTES", 1000)
    monkeypatch.setattr(facts, "PIECE_BYTES", 8000)
    found, count = await of_link(content)
    assert found == Facts("video/mp4", len(content), 854, 480, 2.0, 24.0, True)
    assert count == 2


async def test_a_track_that_a_part_of_the_index_does_not_name_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "HEAD_BYTES", 600)
    monkeypatch.setattr(facts, "PIECE_BYTES", 100)
    found, _ = await of_link(film(tmp_path / "a.mp4"))
    assert found.has_audio is not False


async def test_a_host_without_ranges_is_read_from_its_beginning(tmp_path: Path) -> None:
    content = picture("PNG") + b"\0" * 3_000_000
    found, count = await of_link(content, ranges=False)
    assert (found.width, found.height, found.bytes) == (320, 200, len(content))
    assert count == 1


async def test_all_who_wait_for_a_result_share_one_measurement(tmp_path: Path) -> None:
    content = picture("PNG")
    async with serving(answer(content)) as host:
        measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
        results: list[list[Facts]] = []

        async def wait() -> None:
            results.append(await measurer.measure(ALICE, [host.url()], seconds=30))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(wait)
        await wait()
        assert len(host.asked) == 1
    assert {each[0].width for each in results} == {320}


async def test_a_link_that_never_answers_costs_the_call_its_time_and_no_more() -> None:
    stuck = anyio.Event()

    async def said(_: str) -> bytes:
        await stuck.wait()
        return answer()

    async with serving(said) as host:
        measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
        start = time.monotonic()
        assert await measurer.measure(ALICE, [host.url()], seconds=0.2) == [Facts()]
        assert time.monotonic() - start < 30
        await measurer.aclose()
        stuck.set()


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "416 Range Not Satisfiable", "500 Oops"])
async def test_a_link_that_fails_leaves_the_facts_unknown(status: str) -> None:
    async with serving(answer(b"gone", status=status)) as host:
        measurer = Measurer(Fetcher(UrlGuard(allow_loopback=True)))
        assert await measurer.measure(ALICE, [host.url()], seconds=30) == [Facts()]


async def test_an_address_of_this_network_is_not_looked_at() -> None:
    async with serving(answer(picture("PNG"))) as host:
        assert await Measurer(Fetcher(UrlGuard())).measure(ALICE, [host.url()], seconds=30) == [Facts()]
        assert host.asked == []


HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "png": lambda _: hostile.png(2_000_000_000, 2_000_000_000),
    "webp": lambda _: hostile.webp(16_777_216, 16_777_216),
    "avif": lambda _: hostile.avif(2_000_000_000, 2_000_000_000),
    "gif": lambda _: hostile.gif(8, 8, frames=20_000),
    "gif-endless": lambda _: b"GIF89a" + b"\x01\0\x01\0\0\0\0" + b"!\xf9\x04\0\0\0\0\0" * 100_000,
    "png-frames": lambda _: hostile.png(8, 8)[:33] + b"\0\0\0\0fcTL\0\0\0\0" * 300_000,
    "webp-frames": lambda _: b"RIFF\0\0\0\0WEBP" + b"ANMF\xff\xff\xff\xff" + b"ANMF\0\0\0\0" * 300_000,
    "boxes": lambda _: b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0\0\0\x08moov" * 100_000,
    "box-of-2-64": lambda _: b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41\0\0\0\x01mdat" + b"\xff" * 100,
    "matroska": lambda _: b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 50_000,
    "mkv-lies": lambda path: hostile.film(path, hostile.jpeg(65_000, 65_000), (64, 64), container="matroska"),
    "ogg": lambda _: b"OggS" + b"\xff" * 500_000,
    "mp3": lambda _: b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + b"\xff\xfb" * 200_000,
    "flac": lambda _: b"fLaC" + b"\x84\xff\xff\xff" * 100_000,
    "wav": lambda _: b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff" + b"\0" * 1000,
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_files_end_in_time(tmp_path: Path, kind: str) -> None:
    content = HOSTILE[kind](tmp_path / "made")
    with anyio.fail_after(40):
        found = await of_file(tmp_path / "a", content)
        linked, _ = await of_link(content)
    assert found.bytes == len(content)
    assert linked.bytes in (len(content), None)


@pytest.mark.parametrize("part", [0.02, 0.5, 0.98])
async def test_files_that_end_too_early_are_told_as_far_as_they_go(tmp_path: Path, part: float) -> None:
    for content in (picture("PNG"), picture("WEBP"), film(tmp_path / "a.mp4")):
        cut = content[: max(int(len(content) * part), 1)]
        assert (await of_file(tmp_path / "b", cut)).bytes == len(cut)
    found = await of_file(tmp_path / "b", film(tmp_path / "a.mp4")[:20_000])
    assert (found.width, found.height, found.duration_seconds) == (854, 480, 2.0)


def test_facts_that_somebody_wrote_down_are_read_without_trust() -> None:
    assert Facts.read({"width": "x", "height": -1, "has_alpha": "yes", "mime_type": "text/html"}) == Facts()
    assert Facts.read([1]) == Facts()
    known = Facts("image/png", 10, 3, 4, has_alpha=True)
    assert Facts.read(known.present()) == known
