"""A local file of the wrong kind, weight or shape: told before anything is uploaded or paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.media import decoder
from evolink_mcp.settings import Settings
from tests.support import Sandbox, ok, png, refused

SOUND = b"ID3\4\0\0\0\0\0\0" + b"\0" * 500
FILM = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0" * 500
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + b"\0" * 200


@pytest.fixture
def folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = settings.upload_dirs[0]
    for name, content in {
        "cat.png": png(512, 512),
        "tiny.png": png(8, 8),
        "wide.png": png(3000, 320),
        "song.mp3": SOUND,
        "clip.mp4": FILM,
        "mask.jpg": JPEG,
        "huge.png": png(8, 8),
    }.items():
        (folder / name).write_bytes(content)
    with (folder / "huge.png").open("r+b") as file:
        file.truncate(60 * 1024 * 1024)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("generate_image", {"image_urls": ["song.mp3"]}, "image_urls[0]: the file is a sound"),
        ("generate_image", {"image_urls": ["cat.png", "clip.mp4"]}, "image_urls[1]: the file is a film"),
        ("generate_image", {"image_urls": ["huge.png"]}, "60.0 MB; allowed: 50 MB"),
        (
            "generate_image",
            {"model": "gpt-4o-image", "image_urls": ["cat.png"], "mask_url": "mask.jpg"},
            "mask_url: the file is jpeg; allowed: png",
        ),
        ("generate_video", {"image_urls": ["tiny.png"]}, "8 × 8 pixels"),
        ("generate_video", {"image_urls": ["wide.png"]}, "width / height is 9.38"),
        (
            "generate_video",
            {"model": "seedance-2.0-reference-to-video", "options": {"video_urls": ["cat.png"]}},
            "video_urls[0]: the file is a picture",
        ),
        (
            "generate_video",
            {"model": "omnihuman-1.5", "image_urls": ["cat.png"], "options": {"audio_url": "cat.png"}},
            "audio_url: the file is a picture",
        ),
    ],
)
async def test_an_unfit_file_is_refused_before_anything_is_sent(
    client: Client, sandbox: Sandbox, tool: str, arguments: dict[str, Any], said: str
) -> None:
    text = await refused(client, tool, prompt="x", **arguments)
    assert said in text
    assert "Charged: no." in text
    assert sandbox.requests() == []


@pytest.mark.usefixtures("folder")
async def test_where_the_source_only_warns_the_file_goes_with_a_note(client: Client, sandbox: Sandbox) -> None:
    Path("big.png").write_bytes(png(8, 8) + b"\0" * 5_000_000)
    task = await ok(client, "generate_image", prompt="x", model="gpt-image-1", image_urls=["big.png"])
    assert any("allowed: 4 MB" in note for note in task["notes"])
    assert sandbox.paid() == 1


@pytest.mark.usefixtures("folder")
async def test_the_bytes_are_those_of_the_file_though_a_decoder_read_it_first(client: Client, sandbox: Sandbox) -> None:
    import httpx2

    content = png(400, 400) + bytes(range(256)) * 2000
    Path("long.png").write_bytes(content)
    await ok(client, "generate_video", prompt="x", image_urls=["long.png"])
    (request,) = sandbox.requests("/generations")
    with httpx2.Client(trust_env=False) as http:
        assert http.get(request["json"]["image_urls"][0]).content == content


@pytest.mark.usefixtures("folder")
async def test_a_file_that_no_decoder_can_read_is_sent_unjudged(
    client: Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "decoder.py").write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.setattr(decoder, "__file__", str(tmp_path / "decoder.py"))
    await ok(client, "generate_video", prompt="x", image_urls=["tiny.png"])
    assert sandbox.paid() == 1
