"""Media that are made to harm whoever decodes them: each gives a reason, within a bound of memory and time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from evolink_mcp.media import decoder, decoding, previews
from tests.contract import hostile_media as hostile
from tests.support import png


async def refused(path: Path) -> str:
    with pytest.raises(previews.NoPreview) as raised:
        await previews.preview(path)
    return str(raised.value)


# In a process of its own, since a child counts what its parent held when it was forked.
APART = """
import asyncio, resource, sys
from pathlib import Path
from evolink_mcp.media import previews

try:
    asyncio.run(previews.preview(Path(sys.argv[1])))
except previews.NoPreview as reason:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, reason)
"""


async def refused_apart(path: Path) -> tuple[str, int]:
    """Why there is no preview, and the most memory that the decoder took, in bytes."""
    done = await anyio.run_process([sys.executable, "-c", APART, str(path)])
    largest, _, reason = done.stdout.decode().partition(" ")
    # In kB, in bytes on macOS.
    return reason, int(largest) * (1 if sys.platform == "darwin" else 1024)


HUGE: dict[str, Callable[[Path], bytes]] = {
    "png": lambda _: hostile.png(9000, 9000),
    "png-2-31": lambda _: hostile.png(2_000_000_000, 2_000_000_000),
    "png-real": lambda _: hostile.png(8000, 8000, real=True),
    "jpeg": lambda _: hostile.jpeg(65_000, 65_000),
    "gif": lambda _: hostile.gif(65_000, 65_000),
    "webp": lambda _: hostile.webp(16_000, 16_000),
    "webp-16-million": lambda _: hostile.webp(16_777_216, 16_777_216),
    "avif": lambda _: hostile.avif(16_000, 16_000),
    "avif-2-31": lambda _: hostile.avif(2_000_000_000, 2_000_000_000),
    "text": lambda _: hostile.text_bomb(),
    "mp4": lambda path: hostile.film(path, hostile.png(8000, 8000, real=True), (8000, 8000), container="mp4"),
    "mp4-lies": lambda path: hostile.film(path, hostile.png(8000, 8000, real=True), (64, 64), container="mp4"),
    "mov-lies": lambda path: hostile.film(path, hostile.png(8000, 8000, real=True), (64, 64), container="mov"),
    "mkv": lambda path: hostile.film(path, hostile.jpeg(65_000, 65_000), (8000, 8000), container="matroska"),
    "mkv-lies": lambda path: hostile.film(path, hostile.jpeg(65_000, 65_000), (64, 64), container="matroska"),
}


@pytest.mark.parametrize("kind", HUGE)
async def test_what_unfolds_into_too_much_is_not_decoded(tmp_path: Path, kind: str) -> None:
    content = HUGE[kind](tmp_path / "made")
    assert len(content) < 1_000_000
    (tmp_path / "a").write_bytes(content)
    reason, largest = await refused_apart(tmp_path / "a")
    assert "cannot be shown" in reason
    assert 1024**2 < largest < decoder.MAX_MEMORY_BYTES


async def test_a_film_of_very_many_frames_shows_its_first(tmp_path: Path) -> None:
    data = hostile.film(tmp_path / "made.mp4", png(64, 64), (64, 64), container="mp4", frames=3000)
    (tmp_path / "a").write_bytes(data)
    assert (await previews.preview(tmp_path / "a")).startswith(b"\xff\xd8")
    (tmp_path / "b").write_bytes(hostile.gif(8, 8, frames=20_000))
    assert (await previews.preview(tmp_path / "b")).startswith(b"\xff\xd8")


async def test_a_film_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    data = hostile.film(tmp_path / "made.mp4", png(64, 64), (64, 64), container="mp4", frames=3700)
    (tmp_path / "a").write_bytes(data)
    assert "longer than 3,600 s" in await refused(tmp_path / "a")


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\x20ftypisom" + b"\0" * 1_000_000,
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0\0\0\x08moov" * 100_000,
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\x7f\xff\xff\xffmoov\x7f\xff\xff\xfftrak") * 100,
        b"\x1a\x45\xdf\xa3" + b"\xff" * 1_000_000,
        b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 50_000,
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 100_000,
        b"\x89PNG\r\n\x1a\n" + hostile.chunk(b"IHDR", b"\0") * 1000,
        b"\xff\xd8\xff" + b"\xff\xe1\xff\xff" * 100_000,
        b"GIF89a" + b"\xff" * 1_000_000,
        b"\0\0\0\x20ftypavif" + b"\xff" * 100_000,
    ],
)
async def test_deep_endless_and_broken_files_are_a_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    start = time.monotonic()
    assert "cannot be shown" in await refused(tmp_path / "a")
    assert time.monotonic() - start < decoding.MAX_DECODE_SECONDS


DEATHS = {
    "crash": "import os; os.abort()",
    "kill": "import os, signal; os.kill(os.getpid(), 9)",
    "hang": "import time; time.sleep(60)",
    "spin": "while True: pass",
    "flood": "import sys\nwhile True: sys.stdout.write('x' * 100_000)",
    "silent": "",
    "error": "raise ValueError",
}


@pytest.mark.parametrize("death", DEATHS)
async def test_a_decoder_that_breaks_down_harms_nobody_else(
    tmp_path: Path, death: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "decoder.py").write_text(DEATHS[death], encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "__file__", str(tmp_path / "decoder.py"))
        patch.setattr(decoding, "MAX_DECODE_SECONDS", 0.5)
        with anyio.fail_after(60):
            if death == "silent":
                assert await previews.preview(tmp_path / "a.png") == b""
            else:
                assert "cannot be shown" in await refused(tmp_path / "a.png")
    assert (await previews.preview(tmp_path / "a.png")).startswith(b"\xff\xd8")


async def test_files_of_one_caller_that_take_long_leave_a_decoder_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = tmp_path / "slow.png", tmp_path / "quick.png"
    slow.write_bytes(b"slow")
    quick.write_bytes(b"quick")
    script = "import sys, time\nif sys.stdin.read() == 'slow': time.sleep(60)\nsys.stdout.write('seen')"
    (tmp_path / "decoder.py").write_text(script, encoding="utf-8")
    monkeypatch.setattr(decoder, "__file__", str(tmp_path / "decoder.py"))
    monkeypatch.setattr(decoding, "MAX_DECODE_SECONDS", 60.0)

    async def look(path: Path, owner: str) -> bytes:
        with path.open("rb") as file:
            return await decoding.decode("preview", file, "image/png", owner=owner)

    async with anyio.create_task_group() as group:
        for _ in range(2 * decoding.MAX_DECODERS):
            group.start_soon(look, slow, "somebody")
        await anyio.lowlevel.checkpoint()  # all of them take or want their place
        with anyio.fail_after(40):
            assert await look(quick, "somebody else") == b"seen"
        group.cancel_scope.cancel()


async def test_a_call_that_ends_takes_its_decoder_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(png())
    script = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    (tmp_path / "decoder.py").write_text(script, encoding="utf-8")
    monkeypatch.setattr(decoder, "__file__", str(tmp_path / "decoder.py"))
    with anyio.move_on_after(1.0):
        await previews.preview(tmp_path / "a.png")
    assert not Path("/proc", (tmp_path / "pid").read_text(encoding="utf-8")).exists()


async def test_a_decoder_knows_no_key_and_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLINK_API_KEY", "sk-secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "decoder.py").write_text("import os; print(sorted(os.environ))", encoding="utf-8")
    monkeypatch.setattr(decoder, "__file__", str(tmp_path / "decoder.py"))
    seen = (await previews.preview(tmp_path / "a.png")).decode()
    assert "PYTHONPATH" in seen
    assert "EVOLINK" not in seen
    assert "PROXY" not in seen
