"""Files up, down and away: through the tools, against the sandbox."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from mcp.client import Client
from mcp_types import ImageContent
from PIL import Image

from evolink_mcp.gateway import Caller, media, wire
from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.media import downloads, previews, sidecars, uploads
from evolink_mcp.media.downloads import Keeper, file_stem
from evolink_mcp.media.fetch import Fetcher
from evolink_mcp.media.kinds import EXTENSIONS, guess_from_link, sniff
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok, refused, text_of


def png(width: int = 8, height: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def picture(settings: Settings) -> Path:
    path = settings.upload_dirs[0] / "cat.png"
    path.write_bytes(png())
    return path


async def test_a_local_file_is_uploaded_and_told(client: Client, picture: Path) -> None:
    stored = await ok(client, "upload_file", file_path=str(picture), upload_path="cats", file_name="tom.png")
    assert stored["mime_type"] == "image/png"
    assert stored["file_size"] == len(png())
    assert stored["file_url"] in stored["next_step"]
    assert stored["file_id"] in stored["next_step"]
    assert stored["expires_at"]
    assert any("overwritten" in note for note in stored["notes"])


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
async def test_base64_data_is_uploaded(client: Client, prefix: str) -> None:
    stored = await ok(client, "upload_file", base64_data=prefix + base64.b64encode(png()).decode())
    assert stored["mime_type"] == "image/png"


async def test_a_link_is_copied(client: Client, picture: Path) -> None:
    stored = await ok(client, "upload_file", file_path=str(picture))
    again = await ok(client, "upload_file", file_url=stored["file_url"], upload_path="copies")
    assert again["file_id"] != stored["file_id"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"file_path": "a", "file_url": "https://example.com/a"},
        {"base64_data": "AAAA", "file_url": "https://example.com/a", "file_path": "b"},
    ],
)
async def test_exactly_one_source_is_needed(client: Client, sandbox: Sandbox, arguments: dict[str, Any]) -> None:
    assert "Exactly one" in await refused(client, "upload_file", **arguments)
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"file_path": "/etc/passwd"},
        {"file_url": "http://example.com/a.png"},
        {"file_url": "https://169.254.169.254/latest"},
        {"base64_data": "not base64!"},
        {"base64_data": "data:image/png,raw"},
        {"base64_data": base64.b64encode(b"plain text, no picture").decode()},
        {"base64_data": base64.b64encode(png()).decode(), "upload_path": "../up"},
        {"base64_data": base64.b64encode(png()).decode(), "upload_path": "/abs"},
        {"base64_data": base64.b64encode(png()).decode(), "upload_path": "a\nb"},
        {"base64_data": base64.b64encode(png()).decode(), "file_name": "a/b.png"},
        {"base64_data": base64.b64encode(png()).decode(), "file_name": ".."},
        {"base64_data": base64.b64encode(png()).decode(), "file_name": "x" * 256},
        {"base64_data": base64.b64encode(png()).decode(), "file_name": ""},
    ],
)
async def test_what_may_not_be_uploaded_is_refused_unsent(
    client: Client, sandbox: Sandbox, arguments: dict[str, Any]
) -> None:
    text = await refused(client, "upload_file", **arguments)
    assert "Next: " in text
    assert "Charged" not in text
    assert sandbox.requests() == []


async def test_a_private_file_with_a_pictures_name_is_refused(
    client: Client, sandbox: Sandbox, settings: Settings
) -> None:
    secret = settings.upload_dirs[0] / "secret.png"
    secret.write_text("-----BEGIN PRIVATE KEY-----", encoding="utf-8")
    assert "no image" in await refused(client, "upload_file", file_path=str(secret))
    assert sandbox.requests() == []


async def test_base64_too_large_is_refused_before_it_is_decoded(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 10)
    assert "at most 10" in await refused(client, "upload_file", base64_data="!" * 100)


async def test_types_the_sources_disagree_on_go_with_a_note(client: Client, settings: Settings) -> None:
    path = settings.upload_dirs[0] / "clip.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 64)
    stored = await ok(client, "upload_file", file_path=str(path))
    assert any("S1" in note for note in stored["notes"])


async def test_the_quota_told_by_the_files_api_leads_to_delete_file(client: Client, sandbox: Sandbox) -> None:
    sandbox.configure(max_files=1)
    first = await ok(client, "upload_file", base64_data=base64.b64encode(png()).decode(), file_name="a.png")
    text = await refused(client, "upload_file", base64_data=base64.b64encode(png()).decode(), file_name="b.png")
    assert "[40003]" in text
    assert "delete_file" in text
    listed = await ok(client, "list_files")
    assert listed["quota"]["remain_files"] == 0
    assert listed["files"][0]["file_id"] == first["file_id"]
    gone = await ok(client, "delete_file", file_id=first["file_id"])
    assert gone["deleted"] is True
    assert gone["notes"] == [f"Freed: a.png, {len(png())} bytes; 1 of 1 places are left."]
    sandbox.configure(max_files=100)


async def test_pages_of_files(client: Client) -> None:
    for name in ("a.png", "b.png", "c.png"):
        await ok(client, "upload_file", base64_data=base64.b64encode(png()).decode(), file_name=name)
    first = await ok(client, "list_files", page_size=2)
    assert (len(first["files"]), first["total"], first["page"]) == (2, 3, 1)
    assert "page=2" in first["next_step"]
    second = await client.call_tool("list_files", {"page": 2, "page_size": 2})
    assert len(second.structured_content["files"]) == 1
    assert "page=3" not in text_of(second)
    assert second.structured_content["files"][0]["file_id"] in text_of(second)


async def test_a_quota_that_cannot_be_read_does_not_hide_the_files(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("files_quota", "status", status=500)
    listed = await ok(client, "list_files")
    assert "quota" not in listed
    assert any("quota" in note for note in listed["notes"])


async def test_a_list_that_cannot_be_read_is_an_error(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("files_list", "status", status=503)
    assert "HTTP 503" in await refused(client, "list_files")


@pytest.mark.parametrize("file_id", ["", ".", "..", "a\nb", "x" * 201])
async def test_file_ids_are_checked(client: Client, sandbox: Sandbox, file_id: str) -> None:
    await refused(client, "delete_file", file_id=file_id)
    assert sandbox.requests() == []


async def test_a_file_already_gone_is_told_and_no_error(client: Client) -> None:
    result = await client.call_tool("delete_file", {"file_id": "file_none"})
    assert not result.is_error
    assert text_of(result).startswith("Already gone: file_none")
    assert result.structured_content["deleted"] is False
    assert "the id is wrong" in result.structured_content["notes"][0]


async def test_saved_results_are_found_again_and_never_overwritten(
    client: Client, sandbox: Sandbox, settings: Settings
) -> None:
    task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    saved = Path(task["results"][0]["saved_path"])
    saved.write_bytes(b"the user's own edit")
    again = await ok(client, "check_task", task_id=task["task_id"])
    assert again["results"][0]["saved_path"] == str(saved)
    assert saved.read_bytes() == b"the user's own edit"
    assert len(sandbox.requests("/results/")) == 1
    assert settings.output_dir is not None
    assert sorted(path.name for path in settings.output_dir.iterdir() if path.is_file()) == sorted(
        [saved.name, f"{saved.stem.removesuffix('-1')}.json"]
    )


async def test_no_key_is_sent_to_where_results_are(client: Client, sandbox: Sandbox) -> None:
    await ok(client, "generate_image", prompt="x", wait_seconds=20)
    fetched = sandbox.requests("/results/")
    assert fetched
    assert not any(request["headers"]["authorization"] for request in fetched)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "status", "status": 403}, "HTTP 403"),
        ({"kind": "redirect", "location": "http://10.0.0.1/"}, "https"),
        ({"kind": "redirect", "location": "https://10.0.0.1/"}, "private network"),
        ({"kind": "redirect", "location": "https://rebound.example.net/"}, "no address"),
        ({"kind": "garbage"}, "no image"),
        ({"kind": "drop_before"}, "could not be read"),
    ],
)
async def test_a_result_that_cannot_be_saved_keeps_its_link(
    client: Client, sandbox: Sandbox, settings: Settings, fault: dict[str, Any], said: str
) -> None:
    sandbox.fault("result", **fault)
    task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert task["results"][0]["url"]
    assert "saved_path" not in task["results"][0]
    assert any(said in note for note in task["notes"])
    assert settings.output_dir is not None
    assert [path.name for path in settings.output_dir.iterdir()] == [sidecars.PENDING]
    again = await ok(client, "check_task", task_id=task["task_id"])
    assert again["results"][0]["saved_path"]


async def test_a_folder_that_cannot_be_written_keeps_the_link(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    async with connect(App(replace(settings, output_dir=tmp_path / "file" / "below"), clock=clock)) as client:
        task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
        assert task["results"][0]["url"]
        assert any("cannot be written" in note for note in task["notes"])


async def test_a_folder_name_too_long_keeps_the_link(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], tmp_path: Path
) -> None:
    async with connect(App(replace(settings, output_dir=tmp_path / ("x" * 300)), clock=clock)) as client:
        task = await ok(client, "generate_image", prompt="x", wait_seconds=20)
        assert task["results"][0]["url"]
        assert any("cannot be written" in note for note in task["notes"])


async def test_a_download_that_stalls_does_not_hold_the_call(caller: Caller, sandbox: Sandbox, tmp_path: Path) -> None:
    made = await media.create(caller, "image", {"model": "gpt-image-2", "prompt": "x"}, seconds=10)
    sandbox.settle()
    task = await media.read(caller, made.id)
    sandbox.fault("result", "stall", seconds=30)
    keeper = Keeper(Fetcher(UrlGuard(allow_loopback=True)), tmp_path)
    (outcome,) = await keeper.keep(task, seconds=0.3)
    assert "still being saved" in str(outcome)
    await keeper.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_private_links_and_huge_files_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, client: Client
) -> None:
    task = wire.Task(id="t", status="completed", results=(wire.Result("https://10.0.0.1/a.png"),))
    (outcome,) = await Keeper(Fetcher(UrlGuard()), tmp_path).keep(task, seconds=5)
    assert "private network" in str(outcome)
    monkeypatch.setattr(downloads, "MAX_BYTES", 10)
    made = await ok(client, "generate_image", prompt="x", wait_seconds=20)
    assert any("larger than 10" in note for note in made["notes"])


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    partial, final = tmp_path / ".a.part", tmp_path / "a.png"
    partial.write_bytes(b"ours")
    final.write_bytes(b"theirs")
    assert downloads.put_in_place(partial, final) == final
    assert final.read_bytes() == b"theirs"


def test_names_of_saved_files_are_safe() -> None:
    task = wire.Task(id="../../task é", status="completed", model="a/b c", created=1757156493.0)
    assert file_stem(task, 2) == "20250906-a_b_c-.._.._task_-2"
    assert file_stem(wire.Task(id="t", status="completed"), 1) == "undated-model-t-1"


async def test_previews_are_small_jpegs(client: Client) -> None:
    task = await ok(client, "generate_image", prompt="x", model="gpt-image-2", n=2, wait_seconds=20)
    result = await client.call_tool("check_task", {"task_id": task["task_id"], "preview": True})
    shown = [block for block in result.content if isinstance(block, ImageContent)]
    assert len(shown) == 2
    for block in shown:
        data = base64.b64decode(block.data)
        assert len(data) <= previews.MAX_BYTES
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "JPEG"
            assert max(image.size) == previews.LONGEST_EDGE


async def test_a_videos_preview_is_its_first_frame(client: Client, sandbox: Sandbox) -> None:
    submitted = await ok(client, "generate_video", prompt="x", duration=4, quality="480p")
    sandbox.settle()
    result = await client.call_tool("check_task", {"task_id": submitted["task_id"], "preview": True})
    assert [block for block in result.content if isinstance(block, ImageContent)]
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


@pytest.mark.parametrize(
    ("head", "mime_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0\0\0\x14ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x18ftypheic", None),
        (b"\0\0\0\x18ftypmif1", None),
        (b"\0\0\0\x18ftypavif", "image/avif"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"#!/bin/sh", None),
        (b"%PDF-1.7", None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_types_are_told_by_content(head: bytes, mime_type: str | None) -> None:
    assert sniff(head) == mime_type
    assert mime_type is None or mime_type in EXTENSIONS


def test_types_of_links_are_guessed() -> None:
    assert guess_from_link("https://a/b.JPEG?x=1.png", "image") == "image/jpeg"
    assert guess_from_link("https://a/b", "video") == "video/mp4"
    assert guess_from_link("https://a/b", None) is None
