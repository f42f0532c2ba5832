"""Small pictures of results, through the tools: saved or not, many, huge, broken, or without the extra."""

from __future__ import annotations

import base64
import errno
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import av
import pytest
from mcp.client import Client
from mcp_types import CallToolResult, ImageContent
from PIL import Image

from evolink_mcp.media import decoder, previews
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok, png, text_of

Connect = Callable[[App], Client]


def shown(result: CallToolResult) -> list[bytes]:
    """The previews of a result, each a JPEG within the limits."""
    pictures: list[bytes] = []
    for block in result.content:
        if isinstance(block, ImageContent):
            data = base64.b64decode(block.data)
            assert block.mime_type == "image/jpeg"
            assert len(data) <= decoder.MAX_PREVIEW_BYTES
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                assert image.format == "JPEG"
                assert max(image.size) <= decoder.MAX_EDGE
            pictures.append(data)
    return pictures


async def looked(client: Client, task_id: str) -> CallToolResult:
    return await client.call_tool("check_task", {"task_id": task_id, "preview": True})


async def test_a_file_that_cannot_be_read_any_more_has_no_preview() -> None:
    class Stale(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.ESTALE, "Stale file handle")

    with pytest.raises(previews.NoPreview, match="cannot be read"):
        await previews.preview_file(Stale())


async def test_previews_are_small_jpegs(client: Client) -> None:
    task = await ok(client, "generate_image", prompt="x", model="gpt-image-2", n=2, wait_seconds=20)
    result = await client.call_tool("check_task", {"task_id": task["task_id"], "preview": True})
    shown = [block for block in result.content if isinstance(block, ImageContent)]
    assert len(shown) == 2
    for block in shown:
        data = base64.b64decode(block.data)
        assert len(data) <= decoder.MAX_PREVIEW_BYTES
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "JPEG"
            assert max(image.size) == decoder.MAX_EDGE


async def test_a_videos_preview_is_its_first_and_its_last_frame(client: Client, sandbox: Sandbox) -> None:
    submitted = await ok(client, "generate_video", prompt="x", duration=4, quality="480p")
    sandbox.settle()
    result = await client.call_tool("check_task", {"task_id": submitted["task_id"], "preview": True})
    (picture,) = shown(result)
    with Image.open(io.BytesIO(picture)) as image:
        first = image.crop((0, 0, image.width, image.height // 2 - 4))
        last = image.crop((0, image.height // 2 + 4, image.width, image.height))
    assert abs(first.width / first.height / (854 / 480) - 1) < 0.05
    assert first.tobytes() != last.tobytes()
    assert "the first frame and, below or beside it, the last" in text_of(result)
    saved = Path(result.structured_content["results"][0]["saved_path"])
    with av.open(str(saved)) as container:
        assert container.streams.video


async def test_a_preview_that_cannot_be_made_is_a_note(
    client: Client, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    Path(task["results"][0]["saved_path"]).write_bytes(png()[:40])
    result = await client.call_tool("check_task", {"task_id": task["task_id"], "preview": True})
    assert "cannot be shown" in text_of(result)
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    result = await client.call_tool("check_task", {"task_id": task["task_id"], "preview": True})
    assert "evolink-mcp[preview]" in text_of(result)


async def test_results_that_are_not_saved_are_shown_too_and_not_kept(
    settings: Settings, clock: FakeClock, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    async with connect(App(replace(settings, output_dir=None), clock=clock)) as client:
        task = await ok(client, "generate_image", prompt="x", model="gpt-image-2", n=2, wait_seconds=20)
        assert len(shown(await looked(client, task["task_id"]))) == 2
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_without_being_asked_for_there_are_none(client: Client) -> None:
    task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert shown(await client.call_tool("check_task", {"task_id": task["task_id"]})) == []


@pytest.mark.parametrize("saved", [True, False])
async def test_the_first_four_are_shown(settings: Settings, clock: FakeClock, connect: Connect, saved: bool) -> None:
    chosen = settings if saved else replace(settings, output_dir=None)
    async with connect(App(chosen, clock=clock)) as client:
        task = await ok(client, "generate_image", prompt="x", model="gpt-image-2", n=6, wait_seconds=20)
        result = await looked(client, task["task_id"])
    assert len(shown(result)) == previews.MAX_PREVIEWS
    assert "Only the first 4 results have a preview." in text_of(result)
    assert len(result.structured_content["results"]) == 6


async def test_a_result_that_is_gone_is_a_note_beside_the_others(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox
) -> None:
    async with connect(App(replace(settings, output_dir=None), clock=clock)) as client:
        task = await ok(client, "generate_image", prompt="x", model="gpt-image-2", n=2, wait_seconds=20)
        sandbox.fault("result", "status", status=403)
        result = await looked(client, task["task_id"])
    assert len(shown(result)) == 1
    assert "No preview: its link answered HTTP 403." in text_of(result)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "I;16", "CMYK"])
async def test_pictures_of_every_mode_are_shown(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a"
    Image.new(mode, (2000, 10)).save(path, "JPEG" if mode == "CMYK" else "PNG")
    data = await previews.preview(path)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size[0] == decoder.MAX_EDGE


async def test_noise_is_shown_within_the_bound(tmp_path: Path) -> None:
    Image.effect_noise((1024, 1024), 200).convert("RGB").save(tmp_path / "a.png")
    assert len(await previews.preview(tmp_path / "a.png")) <= decoder.MAX_PREVIEW_BYTES


@pytest.mark.parametrize("ink", [0, 255])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "AVIF", "P", "LA"])
async def test_ink_on_nothing_is_seen_whatever_its_colour(tmp_path: Path, kind: str, ink: int) -> None:
    picture = Image.new("RGBA", (256, 256), (ink, ink, ink, 0))
    picture.paste((ink, ink, ink, 255), (64, 64, 192, 192))
    mode = kind if kind in ("P", "LA") else "RGBA"
    picture.convert(mode).save(tmp_path / "a", "PNG" if kind == mode else kind, lossless=True)
    with Image.open(io.BytesIO(await previews.preview(tmp_path / "a"))) as image:
        grey = image.convert("L").tobytes()
    squares = sorted(grey[y * 256 + x] for x in (8, 24) for y in (8, 24))
    assert squares[0] > 120  # a checkerboard of white and grey
    assert squares[-1] - squares[0] > 80
    inside = [grey[y * 256 + x] for x in range(100, 150) for y in range(100, 150)]
    assert all(abs(each - ink) < 30 for each in inside)
    assert max(abs(each - ink) for each in squares) > 100


@pytest.mark.parametrize("extra", ["PIL", "av"])
async def test_without_the_extra_a_note_says_what_to_install(
    client: Client, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, extra: str
) -> None:
    arguments: dict[str, Any] = {"prompt": "x", "duration": 4, "quality": "480p"} if extra == "av" else {"prompt": "x"}
    task = await ok(client, "generate_video" if extra == "av" else "generate_image", **arguments)
    await anyio.to_thread.run_sync(sandbox.settle)
    await ok(client, "check_task", task_id=task["task_id"])
    monkeypatch.setitem(sys.modules, extra, None)
    result = await looked(client, task["task_id"])
    assert shown(result) == []
    assert "evolink-mcp[preview]" in text_of(result)
    assert result.structured_content["results"][0]["saved_path"]
