"""What an agent is told before anything is made: what the defaults decide, what is cropped, what a mask repaints."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from mcp.client import Client
from PIL import Image

from evolink_mcp.settings import Settings
from tests.support import Sandbox, ok, refused


def image(folder: Path, name: str, size: tuple[int, int], colour: object = "white", mode: str = "RGB") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()
    picture = Image.new(mode, size, "black" if mode == "RGB" else (0, 0, 0, 255))
    picture.paste(colour, (0, 0, size[0] // 4, size[1]))  # pyright: ignore[reportArgumentType]
    picture.save(out, "PNG")
    (folder / name).write_bytes(out.getvalue())
    return str(folder / name)


async def test_a_submit_names_what_the_defaults_decide(client: Client) -> None:
    task = await ok(client, "generate_video", prompt="x", duration=4)
    assert "Not set, so by default: model seedance-1.5-pro, 720p, 16:9, with sound (costs extra)." in task["notes"]
    made = await ok(client, "generate_image", prompt="x", model="gpt-image-2.5-flare", wait_seconds=20)
    assert made["status"] == "completed"
    assert not [note for note in made.get("notes", []) if "by default" in note]  # it is measured
    task = await ok(
        client, "generate_video", prompt="x", model="seedance-1.5-pro", duration=4, quality="480p", aspect_ratio="1:1",
        generate_audio=False,
    )  # fmt: skip
    assert not [note for note in task.get("notes", []) if "by default" in note]


async def test_a_local_picture_that_would_be_cropped_is_warned_of(client: Client, settings: Settings) -> None:
    square = image(settings.upload_dirs[0], "cat.png", (512, 512))
    quote = await ok(client, "generate_video", prompt="x", image_urls=[square], dry_run=True)
    assert any("512 × 512" in note and "unless aspect_ratio is adaptive" in note for note in quote["notes"])
    quote = await ok(client, "generate_video", prompt="x", image_urls=[square], aspect_ratio="adaptive", dry_run=True)
    assert not any("cropped" in note for note in quote.get("notes", []))


MASKED: dict[str, Any] = {"prompt": "A hat", "model": "gpt-4o-image", "dry_run": True}


async def test_a_mask_of_another_size_is_refused_for_free(client: Client, settings: Settings, sandbox: Sandbox) -> None:
    cat, mask = image(settings.upload_dirs[0], "c.png", (400, 300)), image(settings.upload_dirs[0], "m.png", (300, 300))
    said = await refused(client, "generate_image", prompt="x", model="gpt-4o-image", image_urls=[cat], mask_url=mask)
    assert "the mask has 300 × 300 pixels, the reference 400 × 300" in said
    assert "Charged: no." in said
    assert not sandbox.requests("upload")


async def test_the_part_that_a_mask_repaints_is_named(client: Client, settings: Settings) -> None:
    cat = image(settings.upload_dirs[0], "cat.png", (400, 300))
    white = image(settings.upload_dirs[0], "white.png", (400, 300))
    clear = image(settings.upload_dirs[0], "clear.png", (400, 300), (0, 0, 0, 0), "RGBA")
    quote = await ok(client, "generate_image", **MASKED, image_urls=[cat], mask_url=white)
    assert any("the white part, 25% of the picture, is painted anew" in note for note in quote["notes"])
    call = {"prompt": "A hat", "model": "gpt-image-2.5-flare", "image_urls": [cat], "dry_run": True}
    quote = await ok(client, "generate_image", **call, mask_url=clear)
    assert any("the transparent part, 25% of the picture, is painted anew" in note for note in quote["notes"])


async def test_a_mask_that_is_marked_the_other_way_is_told(client: Client, settings: Settings) -> None:
    cat = image(settings.upload_dirs[0], "cat.png", (400, 300))
    black = image(settings.upload_dirs[0], "black.png", (400, 300), "black")
    clear = image(settings.upload_dirs[0], "clear.png", (400, 300), (0, 0, 0, 0), "RGBA")
    for mask, words in ((clear, "this model wants it black and white"), (black, "nothing of the mask is white")):
        # That white is repainted is stated by one source of two: a hint.
        quote = await ok(client, "generate_image", **MASKED, image_urls=[cat], mask_url=mask)
        assert any(words in note for note in quote["notes"])
    for name in ("gpt-image-2", "gpt-image-2.5-flare", "gpt-image-2.5-sunburst"):
        said = await refused(client, "generate_image", prompt="A hat", model=name, image_urls=[cat], mask_url=black)
        assert said.count("transparen") == 1, said
        assert "nothing of the mask is transparent" in said
