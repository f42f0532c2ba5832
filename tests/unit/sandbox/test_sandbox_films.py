"""Films and sounds of the sandbox, opened and looked at."""
# The stubs of PyAV do not say what to_image returns.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops

from evolink_mcp.sandbox.sizes import film_size
from tests.unit.sandbox.lab import Lab, png, saved
from tests.unit.sandbox.streams import brightest, heard, streams


def frames(path: Path, *numbers: int) -> list[Image.Image]:
    with av.open(str(path)) as container:
        return [frame.to_image() for at, frame in enumerate(container.decode(video=0)) if at in numbers]


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


def test_a_request_for_music_makes_two_songs_of_the_duration_it_states(lab: Lab, tmp_path: Path) -> None:
    task = lab.make("audio", "suno-v5.5-beta", prompt="la la", title="One", style="brass", duration=12)
    assert task["object"] == "audio.generation.task"
    songs = task["result_data"]["songs"]
    assert [song["audio_url"] for song in songs] == task["results"]
    assert {(song["title"], song["tags"], song["duration"]) for song in songs} == {("One", "brass", 12)}
    assert len({song["result_id"] for song in songs}) == 2
    response = lab.result(task)
    assert response.headers["content-type"] == "audio/mpeg"
    assert heard(saved(response, tmp_path, "a.mp3")) == ("mp3", pytest.approx(12, abs=0.2))


@pytest.mark.parametrize(
    ("asked", "mime", "codec"),
    [
        (None, "audio/wav", "pcm_s16le"),
        ("pcm", "audio/wav", "pcm_s16le"),
        ("mp3", "audio/mpeg", "mp3"),
        ("ogg_opus", "audio/ogg", "opus"),
    ],
)
def test_speech_comes_in_the_format_it_is_asked_for(
    lab: Lab, tmp_path: Path, asked: str | None, mime: str, codec: str
) -> None:
    task = lab.make("audio", "doubao-seed-audio-1-0", prompt="Mind the gap", **({"format": asked} if asked else {}))
    response = lab.result(task)
    assert response.headers["content-type"] == mime
    assert heard(saved(response, tmp_path, "a.bin")) == (codec, pytest.approx(3, abs=0.2))


@pytest.mark.parametrize("duration", [-1, "auto", None])
def test_a_film_of_automatic_length_is_made(lab: Lab, duration: object) -> None:
    assert lab.submit("video", "seedance-2.5-text-to-video", duration=duration)["task_info"]["video_duration"] == 5


def test_film_sizes_are_even() -> None:
    for edge in (480, 512, 720, 768, 1080, 2160):
        for shape in ((16, 9), (9, 16), (4, 3), (21, 9), (7, 5), (1000, 1)):
            width, height = film_size(edge, shape)
            assert width % 2 == height % 2 == 0
            assert min(width, height) == edge
