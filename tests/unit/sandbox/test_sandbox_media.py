"""What comes out: real pictures, films and sounds, of the sizes and lengths asked for."""
# PyAV's stubs do not say what to_image returns.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageChops

from evolink_mcp.sandbox.sizes import film_size, picture_size, short_edge
from tests.unit.sandbox.lab import Lab, png, saved

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


def streams(path: Path) -> dict[str, Any]:
    """Codec names by stream type, lengths in seconds, the picture size."""
    with av.open(str(path)) as container:
        tracks = [float(stream.duration * stream.time_base) for stream in container.streams.audio]  # type: ignore[operator]
        codecs = {stream.type: stream.codec_context.name for stream in container.streams}
        video = container.streams.video[0]
        assert container.duration is not None
        return {
            "codecs": codecs,
            "seconds": container.duration / 1e6,
            "size": (video.width, video.height),
            "tracks": tracks,
        }


def frames(path: Path, *numbers: int) -> list[Image.Image]:
    with av.open(str(path)) as container:
        return [frame.to_image() for at, frame in enumerate(container.decode(video=0)) if at in numbers]


def brightest(image: Image.Image) -> int:
    return max(image.convert("L").tobytes())


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
    picture = lab.picture(lab.make("image", "doubao-seedream-4.5", **({"size": size} if size else {})))
    assert picture.size == expected


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


def test_a_film_is_h264_of_the_default_length_shape_and_quality(lab: Lab, tmp_path: Path) -> None:
    task = lab.make("video", "veo3")
    assert task["result_data"] == [{"video_url": task["results"][0]}]
    response = lab.result(task)
    assert response.headers["content-type"] == "video/mp4"
    facts = streams(saved(response, tmp_path, "a.mp4"))
    assert facts["codecs"] == {"video": "h264"}
    assert facts["size"] == (1280, 720)
    assert facts["seconds"] == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(
    ("quality", "aspect", "seconds", "size"),
    [
        ("480p", "9:16", 3, (480, 854)),
        ("512p", "1:1", 2, (512, 512)),
        ("768p", "4:3", 1, (1024, 768)),
        ("4k", "16:9", 1, (3840, 2160)),
    ],
)
def test_a_film_has_the_shape_and_length_asked_for(
    lab: Lab, tmp_path: Path, quality: str, aspect: str, seconds: int, size: tuple[int, int]
) -> None:
    task = lab.make("video", "veo3", quality=quality, aspect_ratio=aspect, duration=seconds)
    facts = streams(saved(lab.result(task), tmp_path, "a.mp4"))
    assert facts["size"] == size
    assert facts["seconds"] == pytest.approx(seconds, abs=0.1)


def test_a_film_moves_and_its_index_comes_first(lab: Lab, tmp_path: Path) -> None:
    path = saved(lab.result(lab.make("video", "veo3", quality="480p", duration=2)), tmp_path, "a.mp4")
    start, end = frames(path, 0, 40)
    assert brightest(ImageChops.difference(start, end)) > 60
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(
    ("model", "body", "sound"),
    [
        ("veo3", {}, False),
        ("veo3", {"generate_audio": True}, True),
        ("kling-o3-text-to-video", {"sound": "on"}, True),
        ("seedance-1.5-pro", {}, True),
        ("seedance-1.5-pro", {"generate_audio": False}, False),
        ("seedance-2.0-fast-text-to-video", {}, True),
        ("seedance-2.0-text-to-video", {"sound": "off"}, False),
        ("doubao-seedance-1.0-pro-fast", {}, False),
    ],
)
def test_sound_is_there_when_it_should_be(
    lab: Lab, tmp_path: Path, model: str, body: dict[str, object], sound: bool
) -> None:
    task = lab.make("video", model, quality="480p", duration=2, **body)
    facts = streams(saved(lab.result(task), tmp_path, "a.mp4"))
    assert facts["codecs"] == ({"video": "h264", "audio": "aac"} if sound else {"video": "h264"})
    assert facts["tracks"] == ([pytest.approx(2, abs=0.1)] if sound else [])


@pytest.mark.parametrize("field", ["image_urls", "image_start"])
def test_a_film_starts_from_an_uploaded_image_and_takes_its_shape(lab: Lab, tmp_path: Path, field: str) -> None:
    url = lab.uploaded(png(60, 120, "red"))["file_url"]
    body = {field: [url] if field == "image_urls" else url}
    task = lab.make("video", "kling-o3-image-to-video", quality="480p", duration=1, aspect_ratio="adaptive", **body)
    path = saved(lab.result(task), tmp_path, "a.mp4")
    assert streams(path)["size"] == (480, 960)
    (first,) = frames(path, 0)
    red, green, blue = (brightest(channel) for channel in first.crop((240, 60, 241, 61)).split())
    assert red > 200
    assert max(green, blue) < 60


def test_a_film_can_start_from_a_result(lab: Lab, tmp_path: Path) -> None:
    picture = lab.make("image", "gpt-image-1", size="300x300")
    link = str(picture["results"][0]).replace("127.0.0.1", "localhost")
    task = lab.make("video", "veo3.1-pro", quality="480p", duration=1, aspect_ratio="auto", image_urls=[link])
    assert streams(saved(lab.result(task), tmp_path, "a.mp4"))["size"] == (480, 480)


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


def test_a_sound_is_a_playable_mp3(lab: Lab, tmp_path: Path) -> None:
    task = lab.make("audio", "suno-v5-beta")
    assert task["object"] == "audio.generation.task"
    assert task["result_data"] == [{"audio_url": task["results"][0]}]
    response = lab.result(task)
    assert response.headers["content-type"] == "audio/mpeg"
    with av.open(str(saved(response, tmp_path, "a.mp3"))) as container:
        assert container.streams.audio[0].codec_context.name in ("mp3", "mp3float")
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(3, abs=0.2)


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


def test_film_sizes_are_even() -> None:
    for edge in (480, 512, 720, 768, 1080, 2160):
        for shape in ((16, 9), (9, 16), (4, 3), (21, 9), (7, 5), (1000, 1)):
            width, height = film_size(edge, shape)
            assert width % 2 == height % 2 == 0
            assert min(width, height) == edge


@pytest.mark.parametrize("size", ["1x2000", "9000x100", "8000x8000", "100:1"])
def test_unreasonable_pictures_are_not_made(size: str) -> None:
    assert picture_size(size) is None
