"""The bounds of files, links and downloads: each exactly as docs/files.md states it."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import anyio
import httpx2
import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.gateway import wire
from evolink_mcp.guard import aside, names
from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media import (
    decoder,
    decoding,
    downloads,
    facts,
    fetch,
    folder,
    frames,
    inputs,
    pictures,
    probe,
    shelf,
    uploads,
    visits,
)
from evolink_mcp.media.downloads import NotSaved
from evolink_mcp.media.fetch import NotFetched
from evolink_mcp.media.folder import Folder
from evolink_mcp.media.shares import Shares
from evolink_mcp.media.uploads import LocalFile, Upload, check_names
from evolink_mcp.tools import outcome
from tests.support import png

DOCUMENT = Path(__file__).parents[2] / "docs" / "files.md"
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("words", "bound", "value"),
    [
        ("more than 2 GiB", downloads.MAX_RESULT_BYTES, 2048 * MIB),
        ("at most four downloads at a time", downloads.MAX_DOWNLOADS, 4),
        ("after an hour", downloads.MAX_PARTIAL_AGE_SECONDS, 3600),
        ("10,000 bytes a second", fetch.MIN_BYTES_PER_SECOND, 10_000),
        ("after a minute", fetch.RATE_GRACE_SECONDS, 60),
        ("24 connections", fetch.LIMITS.max_connections, 24),
        ("none is kept", fetch.LIMITS.max_keepalive_connections, 0),
        ("five at most", fetch.MAX_REDIRECTS, 5),
        ("at most 100 MB", uploads.MAX_UPLOAD_BYTES, 100 * MIB),
        ("2 s for each MB", 1e6 / uploads.MIN_BYTES_PER_SECOND, 2),
        ("50 s", uploads.UPLOAD_SECONDS, 50),
        ("at most 20 local files", inputs.MAX_LOCAL_FILES, 20),
        ("five seconds at most", names.LOOKUP_SECONDS, 5),
        ("eight at a time for each caller", names.MAX_LOOKUPS_PER_CALLER, 8),
        ("32 in all", names.MAX_LOOKUPS, 32),
        ("1 GiB", decoder.MAX_MEMORY_BYTES, 1024 * MIB),
        ("400 MiB", probe.MAX_PARSER_BYTES, 400 * MIB),
        ("than 15 bytes for each second", probe.MIN_BYTES_PER_SECOND, 15),
        ("10 s of work", decoder.MAX_CPU_SECONDS, 10),
        ("Three such processes run at a time", decoding.MAX_DECODERS, 3),
        ("of one caller two", decoding.MAX_DECODERS_OF_OWNER, 2),
        ("15 s in all", decoding.MAX_DECODE_SECONDS, 15),
        ("50 million pixels", pictures.MAX_PIXELS, 50_000_000),
        ("pictures of more than 100 MB", pictures.MAX_PICTURE_BYTES, 100 * MIB),
        ("films of more than an hour", frames.MAX_FILM_SECONDS, 3600),
        ("its first 256 kB", facts.HEAD_BYTES, 256 * 1024),
        ("256 kB more", facts.PIECE_BYTES, 256 * 1024),
        ("within 6 s", facts.MAX_LINK_SECONDS, 6),
        ("for 3 s at most", outcome.INPUT_SECONDS, 3),
        ("four at a time for each caller, eight in all", visits.MAX_OF_OWNER, 4),
        ("eight in all", visits.MAX_IN_ALL, 8),
        ("not again for a minute", visits.REST_SECONDS, 60),
    ],
)
def test_the_document_states_the_bounds_that_hold(words: str, bound: float, value: float) -> None:
    assert words in " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    assert bound == value


def clock(*times: float) -> Iterator[float]:
    return chain(times, repeat(times[-1]))


async def drain(monkeypatch: pytest.MonkeyPatch, size: int, seconds: float) -> None:
    times = clock(0.0, seconds)
    monkeypatch.setattr(fetch.time, "monotonic", lambda: next(times))
    response = httpx2.Response(200, stream=httpx2.ByteStream(b"x" * size))

    async def write(_: bytes) -> None:
        pass

    await fetch._drain(response, write, 10_000_000)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(("size", "seconds"), [(1_000_000, 100.0), (1, 60.0), (1_000_000, 1.0)])
async def test_a_download_at_the_rate_goes_on(monkeypatch: pytest.MonkeyPatch, size: int, seconds: float) -> None:
    await drain(monkeypatch, size, seconds)


@pytest.mark.parametrize(("size", "seconds"), [(999_999, 100.0), (1, 60.01)])
async def test_a_download_below_the_rate_ends(monkeypatch: pytest.MonkeyPatch, size: int, seconds: float) -> None:
    with pytest.raises(NotFetched, match="too slow"):
        await drain(monkeypatch, size, seconds)


@pytest.mark.parametrize(("age", "old"), [(10.0, False), (10.01, True)])
def test_a_file_is_old_once_it_is_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, old: bool) -> None:
    (tmp_path / "a").touch()
    written = (tmp_path / "a").stat().st_mtime
    monkeypatch.setattr(folder._PAST, "moment", lambda: written + age)  # pyright: ignore[reportPrivateUsage]
    with Folder.open(tmp_path) as opened:
        assert opened.has_file("a", min_age_seconds=10.0) == old


def test_a_picture_may_have_exactly_as_many_bytes_as_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(png()) + 10
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", size)
    path = tmp_path / "a.png"
    path.write_bytes(png().ljust(size, b"x"))
    with path.open("rb") as file, pictures.open_picture(file, "image/png") as picture:
        assert picture.width
    path.write_bytes(png().ljust(size + 1, b"x"))
    with path.open("rb") as file, pytest.raises(pictures.Unusable, match=f"more than {size} bytes"):
        pictures.open_picture(file, "image/png")


def encoded(size: int) -> str:
    return base64.b64encode(png().ljust(size, b"x")).decode()


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("rest", range(3))
async def test_base64_may_hold_exactly_as_much_as_a_file(
    monkeypatch: pytest.MonkeyPatch, prefix: str, rest: int
) -> None:
    size = 3000 + rest
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", size)
    monkeypatch.setattr(uploads, "_SLICE", 400)
    inspect = uploads._inspect_base64  # pyright: ignore[reportPrivateUsage]
    assert await inspect(prefix + encoded(size)) == (size, "image/png")
    with pytest.raises(Refused, match=f"about {size + 1:,} bytes; at most {size:,}"):
        await inspect(prefix + encoded(size + 1))


async def test_others_go_on_while_base64_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_SLICE", 400)
    monkeypatch.setattr(aside, "SLICE_SECONDS", -1.0)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(others)
        await uploads._inspect_base64(encoded(3_000))  # pyright: ignore[reportPrivateUsage]
        group.cancel_scope.cancel()
    assert turns > 5


@pytest.mark.parametrize("broken", ["AAAA=AAA", "AAA", "A" * 400 + "AA==" + "A" * 400])
async def test_base64_is_strict_in_every_slice(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    monkeypatch.setattr(uploads, "_SLICE", 400)
    with pytest.raises(Refused, match="not valid base64"):
        await uploads._inspect_base64(broken)  # pyright: ignore[reportPrivateUsage]


def test_generations_take_the_files_own_link_before_the_download_link() -> None:
    both = wire.StoredFile(file_id="f", file_url="https://a/1", download_url="https://a/2")
    assert Upload(both).link == "https://a/1"
    assert Upload(wire.StoredFile(file_id="f", download_url="https://a/2")).link == "https://a/2"


def test_a_large_file_has_more_time(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png().ljust(1_000_000, b"x"))
    with LocalFile.open(str(tmp_path / "a.png"), [tmp_path]) as file:
        assert file.seconds == 52


def test_names_are_sent_as_they_were_given() -> None:
    name = "夏\u3000祭り \u202fPM \U0001f468\u200d\U0001f469.png"
    assert check_names("images/cats", name) == {"upload_path": "images/cats", "file_name": name}
    assert check_names("x" * 255, None) == {"upload_path": "x" * 255}
    for bad in ("a\nb", "a\u2028b", "a\0b", "\ud800", "x" * 256, ""):
        with pytest.raises(Refused):
            check_names(None, bad)


def test_a_result_not_saved_says_why() -> None:
    assert str(NotSaved("the disk is full")) == "the disk is full"
    assert not NotSaved("the disk is full").in_progress


async def test_nothing_is_kept_of_owners_who_have_left() -> None:
    """Made-up keys are free: each of them would stay."""
    links, places = visits.Visits(), Shares(1, 1)
    with links.place("owner", "https://a.test/1"):
        async with places.place("owner"):
            pass
    assert not links._under_way  # pyright: ignore[reportPrivateUsage]
    assert not places._owners  # pyright: ignore[reportPrivateUsage]


def test_the_newest_facts_are_remembered() -> None:
    looking = facts.Measurer(fetch.Fetcher(UrlGuard()))
    links = [f"https://a.test/{number}" for number in range(facts.MAX_REMEMBERED + 1)]
    for link in links:
        looking.keep(link, facts.Facts(bytes=1))
    assert [looking.recall(each) is None for each in links] == [True] + [False] * facts.MAX_REMEMBERED


def test_no_address_is_sealed_with_a_secret_that_was_emptied_or_cut_off() -> None:
    """Of an empty one anybody knows the hash."""
    whole = shelf.new_secret()
    assert len(shelf.read_secret(whole)) == 32
    for text in (b"", whole[: shelf.SECRET_BYTES - 1]):
        with pytest.raises(shelf.ShelfError, match="no secret"):
            shelf.read_secret(text)


LIMITS = """
import resource
from evolink_mcp.media import decoder
decoder._limit()
print(*(resource.getrlimit(getattr(resource, f"RLIMIT_{each}"))[0] for each in ("AS", "CPU", "FSIZE", "CORE")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Windows bounds no process, macOS not its memory")
def test_a_decoder_bounds_its_memory_its_time_and_what_it_writes() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITS], capture_output=True, text=True, check=True, timeout=60)
    assert [*map(int, done.stdout.split())] == [decoder.MAX_MEMORY_BYTES, decoder.MAX_CPU_SECONDS, 0, 0]
