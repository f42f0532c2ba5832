"""What comes out: real pictures, films and sounds, of the sizes and lengths asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolink_mcp.sandbox.sizes import picture_size, short_edge
from tests.unit.sandbox.lab import Lab, png, saved
from tests.unit.sandbox.streams import brightest, streams

# S3, in full: ratio, then width and height at 1K, 2K and 4K.
S3_TABLE = """
1:1  1024 1024 2048 2048 2880 2880
2:1  1456 720  2896 1456 3840 1920
1:2  720 1456  1456 2896 1920 3840
3:1  1776 592  3552 1184 3840 1280
1:3  592 1776  1184 3552 1280 3840
3:2  1248 832  2512 1680 3520 2352
2:3  832 1248  1680 2512 2352 3520
4:3  1184 880  2368 1776 3312 2480
3:4  880 1184  1776 2368 2480 3312
5:4  1152 912  2288 1824 3216 2576
4:5  912 1152  1824 2288 2576 3216
16:9 1360 768  2736 1536 3840 2160
9:16 768 1360  1536 2736 2160 3840
21:9 1568 672  3136 1344 3840 1632
9:21 672 1568  1344 3136 1632 3840
"""
S3_ROWS = [(row.split()[0], [int(text) for text in row.split()[1:]]) for row in S3_TABLE.split("\n") if row]


@pytest.mark.parametrize(("ratio", "sizes"), S3_ROWS)
def test_gpt_image_2_ratios_have_the_sizes_of_s3(lab: Lab, ratio: str, sizes: list[int]) -> None:
    for place, tier in enumerate(("1k", "2K", "4K")):
        task = lab.submit("image", "gpt-image-2", size=ratio, resolution=tier)
        made = next(task_ for task_ in lab.sandbox.tasks.all() if task_.id == task["id"])
        picture = made.outputs[0].work
        assert (picture.width, picture.height) == tuple(sizes[2 * place : 2 * place + 2])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("size", "resolution", "expected"),
    [
        ("16:9", "4K", (3840, 2160)),
        ("9:21", "1k", (672, 1568)),
        ("1536x1024", "4K", (1536, 1024)),
        ("1024×640", "1K", (1024, 640)),
        ("auto", "4K", (1024, 1024)),
    ],
)
def test_the_file_has_the_size_asked_for(lab: Lab, size: str, resolution: str, expected: tuple[int, int]) -> None:
    picture = lab.picture(lab.make("image", "gpt-image-2", size=size, resolution=resolution))
    assert picture.format == "PNG"
    assert picture.size == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("16:9", (1360, 768)),
        ("2:3", (832, 1248)),
        ("800x600", (800, 600)),
        ("auto", (1024, 1024)),
        (None, (1024, 1024)),
    ],
)
def test_other_models_make_a_megapixel_or_exactly_what_is_asked(
    lab: Lab, size: str | None, expected: tuple[int, int]
) -> None:
    picture = lab.picture(lab.make("image", "z-image-turbo", **({"size": size} if size else {})))
    assert picture.size == expected


def test_a_model_makes_its_own_tier_where_none_is_asked_for(lab: Lab) -> None:
    assert lab.picture(lab.make("image", "doubao-seedream-4.5", size="1:1")).size == (2048, 2048)


def test_n_pictures_differ_and_repeat_for_the_same_prompt(lab: Lab) -> None:
    task = lab.make("image", "gpt-image-1", size="160x120", n=3)
    again = lab.make("image", "gpt-image-1", size="160x120", n=3)
    assert len(task["results"]) == 3
    assert task["result_data"] == [{"image_url": url} for url in task["results"]]
    pictures = [lab.result(task, number).content for number in range(3)]
    assert len(set(pictures)) == 3
    assert [lab.result(again, number).content for number in range(3)] == pictures


def test_the_prompt_shapes_the_background_and_is_written_on_it(lab: Lab) -> None:
    one = lab.picture(lab.make("image", "gpt-image-1", size="320x240", prompt="a kite"))
    two = lab.picture(lab.make("image", "gpt-image-1", size="320x240", prompt="a boat"))
    # A corner is background only, the middle has the panel with white letters.
    assert one.getpixel((4, 4)) != two.getpixel((4, 4))
    assert brightest(one.crop((80, 90, 240, 150))) == 255
    assert brightest(one.crop((0, 0, 320, 40))) < 255


@pytest.mark.parametrize(
    ("asked", "form", "mime", "ending"),
    [
        ("jpeg", "JPEG", "image/jpeg", ".jpg"),
        ("webp", "WEBP", "image/webp", ".webp"),
        ("png", "PNG", "image/png", ".png"),
    ],
)
def test_the_output_format_is_honoured(lab: Lab, asked: str, form: str, mime: str, ending: str) -> None:
    task = lab.make("image", "gpt-image-2", size="1024x640", output_format=asked)
    assert lab.picture(task).format == form
    assert lab.result(task).headers["content-type"] == mime
    assert task["results"][0].endswith(ending)


@pytest.mark.parametrize(
    "prompt", ["кот на крыше × café", "word " * 3000, "x" * 900, "\U0001f431", "tab\tand\nline"], ids=range(5)
)
def test_any_prompt_can_be_drawn(lab: Lab, prompt: str) -> None:
    assert lab.picture(lab.make("image", "gpt-image-1", size="200x100", prompt=prompt)).size == (200, 100)


def test_letters_are_kept_readable_where_no_font_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from evolink_mcp.sandbox import lettering

    monkeypatch.setattr(lettering, "_WIDER_FONTS", ("no such font.ttf",))
    lettering._wider_font.cache_clear()  # pyright: ignore[reportPrivateUsage]
    assert lettering.font_for("café", 12)[1] == "cafe"
    assert lettering.font_for("猫", 12)[1].isascii()
    lettering._wider_font.cache_clear()  # pyright: ignore[reportPrivateUsage]


def test_the_smallest_picture_can_be_made(lab: Lab) -> None:
    assert lab.picture(lab.make("image", "gpt-image-1", size="16x16")).size == (16, 16)


@pytest.mark.parametrize("url", ["https://example.com/a.png", "http://[", "http://127.0.0.1:1/files/a.png"])
def test_an_image_from_elsewhere_is_not_fetched(lab: Lab, tmp_path: Path, url: str) -> None:
    task = lab.make("video", "veo3", quality="480p", duration=1, aspect_ratio="adaptive", image_urls=[url])
    assert streams(saved(lab.result(task), tmp_path, "a.mp4"))["size"] == (854, 480)


def test_a_picture_shows_its_reference(lab: Lab) -> None:
    url = lab.uploaded(png(64, 64, "blue"))["file_url"]
    plain = lab.picture(lab.make("image", "qwen-image-edit", size="100x100"))
    edited = lab.picture(lab.make("image", "qwen-image-edit", size="100x100", image_urls=[url]))
    before, after = plain.getpixel((3, 3)), edited.getpixel((3, 3))
    assert isinstance(before, tuple)
    assert isinstance(after, tuple)
    assert after[2] > before[2]


def test_an_expired_reference_is_no_longer_seen(lab: Lab, tmp_path: Path) -> None:
    url = lab.uploaded(png(60, 120))["file_url"]
    lab.advance(259_201)
    task = lab.make("video", "veo3", quality="480p", duration=1, aspect_ratio="adaptive", image_urls=[url])
    assert streams(saved(lab.result(task), tmp_path, "a.mp4"))["size"] == (854, 480)


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("content", [b"GIF89a" + bytes(90), png()[:60]], ids=["header only", "cut off"])
def test_a_reference_that_cannot_be_read_fails_the_task(lab: Lab, kind: str, content: bytes) -> None:
    url = lab.uploaded(content)["file_url"]
    model = {"image": "qwen-image-edit", "video": "veo3"}[kind]
    task = lab.make(kind, model, image_urls=[url])
    assert (task["status"], task["error"]["code"]) == ("failed", "image_processing_error")
    assert task["error"]["type"] == "task_error"
    assert task["usage"]["credits_used"] == 0


def test_a_reference_with_too_many_pixels_fails_the_task(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from evolink_mcp.sandbox import drawing

    monkeypatch.setattr(drawing, "MOST_REFERENCE_PIXELS", 100)
    url = lab.uploaded(png(20, 20))["file_url"]
    assert lab.make("image", "qwen-image-edit", image_urls=[url])["error"]["code"] == "image_processing_error"


def test_a_task_ends_when_the_painter_breaks(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from evolink_mcp.sandbox import drawing

    def broken(*_: object, **__: object) -> None:
        raise LookupError("no paint")

    monkeypatch.setattr(drawing, "caption", broken)
    task = lab.make("image", "gpt-image-1")
    assert (task["status"], task["error"]["code"]) == ("failed", "service_error")


def test_a_character_is_an_object_without_results(lab: Lab) -> None:
    task = lab.post("/v1/videos/generations", {"model": "sora-character", "video_url": "https://example.com/a.mp4"})
    assert "video_duration" not in task["task_info"]
    ended = lab.ended(task["id"])
    assert (ended["status"], ended["results"]) == ("completed", [])
    assert ended["result_data"].keys() == {"character_name", "profile_picture_url"}
    assert lab.open(ended["result_data"]["profile_picture_url"]).headers["content-type"] == "image/png"


def test_an_element_keeps_what_it_was_given(lab: Lab) -> None:
    params = {"element_name": "Ada", "element_description": "a robot", "reference_type": "image_refer", "more": 1}
    task = lab.post("/v1/videos/generations", {"model": "kling-custom-element", "model_params": params})
    data = lab.ended(task["id"])["result_data"]
    assert data.pop("element_id")
    assert data == {"element_name": "Ada", "element_description": "a robot", "reference_type": "image_refer"}


@pytest.mark.parametrize(("model", "field"), [("suno-persona", "persona_id"), ("qwen-voice-design", "voice")])
def test_personas_and_voices_are_named_not_linked(lab: Lab, model: str, field: str) -> None:
    ended = lab.ended(lab.post("/v1/audios/generations", {"model": model})["id"])
    assert ended["results"] == []
    assert list(ended["result_data"]) == [field]


def test_the_server_answers_while_it_renders(lab: Lab) -> None:
    ident = lab.submit("video", "veo3", quality="1080p", duration=12)["id"]
    for _ in range(20):
        assert lab.http.get("/v1/credits").elapsed.total_seconds() < 0.5
    assert lab.task(ident)["status"] == "processing"


def test_files_of_forgotten_tasks_are_removed(lab: Lab) -> None:
    lab.make("image", "gpt-image-1", size="64x64")
    lab.submit("video", "veo3", quality="1080p", duration=12)
    folder = lab.sandbox.folder.path
    assert folder is not None
    lab.control("POST", "reset")
    lab.make("image", "gpt-image-1", size="64x64")
    lab.make("image", "gpt-image-1", size="64x64")
    assert {path.suffix for path in folder.iterdir()} == {".png"}
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("quality", "edge"), [("4K", 2160), ("1080p", 1080), ("high", 1080), ("standard", 720), ("odd", 720), (None, 720)]
)
def test_a_quality_names_a_short_edge(quality: str | None, edge: int) -> None:
    assert short_edge(quality) == edge


@pytest.mark.parametrize("size", ["1x2000", "9000x100", "8000x8000", "100:1"])
def test_unreasonable_pictures_are_not_made(size: str) -> None:
    assert picture_size(size) is None
