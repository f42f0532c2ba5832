"""How long a film is by the sound that is spoken in it: only where nothing else may end it sooner."""

from __future__ import annotations

import pytest

from evolink_mcp.registry import FileFacts
from tests.unit.registry.support import model
from tests.unit.registry.test_outcome import OUTCOMES

VIDEO, SOUND = "https://local.invalid/0123", "https://local.invalid/4567"
SPEAKER = "videoretalk"  # ends with the shorter of clip and sound, unless video_extension is true


def clip(seconds: float | None) -> FileFacts:
    return FileFacts("video/mp4", 1, 720, 1280, seconds)


@pytest.mark.parametrize(
    ("film", "extended", "seconds"),
    [
        (clip(8), None, 5),
        (clip(5), None, 5),
        (clip(4), None, None),
        (clip(4), False, None),
        (clip(4), True, 5),
        (clip(None), None, None),
        (clip(None), True, 5),
        (None, None, None),
        (None, True, 5),
    ],
)
def test_a_film_is_as_long_as_its_sound_where_the_clip_does_not_end_sooner(
    film: FileFacts | None, extended: bool | None, seconds: float | None
) -> None:
    call: dict[str, object] = {"video_url": VIDEO, "audio_url": SOUND}
    if extended is not None:
        call["video_extension"] = extended
    files = {SOUND: FileFacts("audio/mpeg", 1, seconds=5.0)} | ({VIDEO: film} if film else {})
    assert OUTCOMES.roles.spoken_seconds(model(SPEAKER), call, files) == seconds


def test_a_sound_of_unknown_length_and_one_that_is_not_spoken_tell_nothing() -> None:
    call = {"video_url": VIDEO, "audio_url": SOUND}
    for files in ({VIDEO: clip(8)}, {VIDEO: clip(8), SOUND: FileFacts("audio/mpeg", 1)}):
        assert OUTCOMES.roles.spoken_seconds(model(SPEAKER), call, files) is None
    assert OUTCOMES.roles.spoken_sound(model(SPEAKER), call) == SOUND
    assert OUTCOMES.roles.spoken_sound(model("seedance-1.5-pro"), call) == ""


def test_a_film_of_a_picture_is_as_long_as_its_sound() -> None:
    files = {SOUND: FileFacts("audio/mpeg", 1, seconds=5.0)}
    assert OUTCOMES.roles.spoken_seconds(model("omnihuman-1.5"), {"audio_url": SOUND}, files) == 5
