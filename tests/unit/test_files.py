"""Files up and away: through the tools, against the sandbox."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.gateway.wire import StoredFile
from evolink_mcp.media import uploads
from evolink_mcp.media.kinds import EXTENSIONS, guess_from_link, sniff, sniff_file
from evolink_mcp.settings import Settings
from tests.support import Sandbox, ok, png, refused, text_of


@pytest.fixture
def picture(settings: Settings) -> Path:
    path = settings.upload_dirs[0] / "cat.png"
    path.write_bytes(png())
    return path


async def test_a_local_file_is_uploaded_and_told(client: Client, picture: Path) -> None:
    arguments = {"file_path": str(picture), "upload_path": "cats", "file_name": "tom.png"}
    result = await client.call_tool("upload_file", arguments)
    stored = result.structured_content
    assert stored["mime_type"] == "image/png"
    assert stored["file_size"] == len(png())
    assert "file_url" in stored["next_step"]
    assert f"file_url: {stored['file_url']}\n" in text_of(result)
    assert text_of(result).count(stored["file_url"]) == 1
    assert re.search(rf"\nExpires: {stored['expires_at']} \(in 7[12] h\)\n", text_of(result))
    assert any("is replaced" in note for note in stored["notes"])


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
    assert "not an image" in await refused(client, "upload_file", file_path=str(secret))
    assert sandbox.requests() == []


async def test_base64_too_large_is_refused_before_it_is_decoded(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 10)
    assert "at most 10" in await refused(client, "upload_file", base64_data="!" * 100)


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("more", range(3))  # so many signs of padding
async def test_the_size_of_base64_data_is_known_to_the_byte(
    client: Client, monkeypatch: pytest.MonkeyPatch, prefix: str, more: int
) -> None:
    content = png() + b"0" * more
    data = prefix + base64.b64encode(content).decode()
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", len(content))
    await ok(client, "upload_file", base64_data=data)
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", len(content) - 1)
    assert f"about {len(content):,} bytes" in await refused(client, "upload_file", base64_data=data)


def test_an_upload_goes_by_the_link_that_generations_take() -> None:
    only = StoredFile("f1", download_url="https://e.test/down")
    assert uploads.Upload(only).link == "https://e.test/down"
    assert uploads.Upload(replace(only, file_url="https://e.test/file")).link == "https://e.test/file"


def test_names_of_an_upload_go_out_as_given() -> None:
    names = uploads.check_names("images/cats", "tom.png")
    assert names == {"upload_path": "images/cats", "file_name": "tom.png"}
    assert uploads.check_names(None, None) == {}


async def test_types_the_sources_disagree_on_go_with_a_note(client: Client, settings: Settings) -> None:
    path = settings.upload_dirs[0] / "clip.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 64)
    stored = await ok(client, "upload_file", file_path=str(path))
    assert any("documents disagree on whether video/mp4" in note for note in stored["notes"])


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
    assert gone["notes"] == [f"Deleted a.png, {len(png())} bytes; room for 1 of 1 files remains."]
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
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x20ftypM4B ", "audio/mp4"),
        (b"\0\0\0\x20ftypM4V ", "video/mp4"),
        (b"\0\0\0\x14ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x18ftypheic", None),
        (b"\0\0\0\x18ftypmif1", None),
        (b"\0\0\0\x18ftypavif", "image/avif"),
        (b"\0\0\0\x18ftypavis", "image/avif"),
        (b"\0\0\0\x18ftypcrx ", None),
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


def mp4(*handlers: bytes, brand: bytes = b"mp42", before: int = 0) -> bytes:
    """An MP4 whose index names tracks of these kinds, ``before`` bytes of pictures and sound in front of it."""
    index = b"".join(b"\0\0\0\x21hdlr" + b"\0" * 8 + handler + b"\0" * 13 for handler in handlers)
    data = (16 + before).to_bytes(4) + b"mdat" + b"\0" * (8 + before) if before else b""
    return b"\0\0\0\x18ftyp" + brand + b"\0" * 12 + data + (8 + len(index)).to_bytes(4) + b"moov" + index


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (mp4(b"soun"), "audio/mp4"),
        (mp4(b"soun", brand=b"isom", before=1_000_000), "audio/mp4"),
        (mp4(b"vide", b"soun"), "video/mp4"),
        (mp4(b"vide", before=5000), "video/mp4"),
        (mp4(), "video/mp4"),
        (mp4(b"soun")[:40], "video/mp4"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 100, "video/mp4"),
        (mp4(b"soun", brand=b"qt  "), "audio/mp4"),
        (mp4(b"vide", brand=b"qt  "), "video/quicktime"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 12 + b"\0\0\0\1free" + b"\xff" * 8, "video/mp4"),
        (b"\x1a\x45\xdf\xa3\x16\x54\xae\x6b\x90\xae\x85\x83\x81\x02", "audio/webm"),
        (b"\x1a\x45\xdf\xa3\x16\x54\xae\x6b\x90\xae\x85\x83\x81\x01\xae\x85\x83\x81\x02", "video/webm"),
        (b"\x1a\x45\xdf\xa3" + b"\x83\x81\x02", "video/webm"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 12 + b"\0\0\0\x08free" * 10_000, "video/mp4"),
    ],
)
def test_a_film_without_pictures_is_a_sound(content: bytes, mime_type: str) -> None:
    assert sniff_file(io.BytesIO(content)) == mime_type


async def test_a_voice_memo_is_uploaded_as_a_sound(client: Client, sandbox: Sandbox, settings: Settings) -> None:
    path = settings.upload_dirs[0] / "memo.m4a"
    path.write_bytes(mp4(b"soun", brand=b"M4A "))
    assert (await ok(client, "upload_file", file_path=str(path)))["mime_type"] == "audio/mp4"
