"""generate_audio over the sandbox: songs, speech, and names that later calls take."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from mcp.client import Client

from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok, refused


@pytest.fixture
async def audio(settings: Settings, clock: FakeClock, connect: Callable[..., Client]) -> AsyncIterator[Client]:
    async with connect(App(replace(settings, toolsets=("audio",)), clock=clock)) as client:
        yield client


def heard(path: str) -> tuple[str, float]:
    """Codec and seconds of a sound file."""
    with av.open(path) as container:
        assert container.duration is not None
        return container.streams.audio[0].codec_context.name.removesuffix("float"), container.duration / 1e6


async def test_a_prompt_alone_makes_songs_that_are_saved_and_play(audio: Client, sandbox: Sandbox) -> None:
    task = await ok(audio, "generate_audio", prompt="a song about rain", wait_seconds=20)
    assert (task["status"], task["kind"], len(task["results"])) == ("completed", "audio", 2)
    assert [heard(result["saved_path"])[0] for result in task["results"]] == ["mp3", "mp3"]
    assert "suno-persona" in task["next_step"]
    (request,) = sandbox.requests("/v1/audios")
    assert request["json"] == {"model": "suno-v6-beta", "prompt": "a song about rain"}


@pytest.mark.parametrize(
    ("asked", "suffix", "codec"), [("wav", ".wav", "pcm_s16le"), ("mp3", ".mp3", "mp3"), ("ogg_opus", ".ogg", "opus")]
)
async def test_speech_is_saved_by_its_content(audio: Client, asked: str, suffix: str, codec: str) -> None:
    call: dict[str, Any] = {"model": "doubao-seed-audio-1-0", "options": {"format": asked}, "wait_seconds": 20}
    (result,) = (await ok(audio, "generate_audio", prompt="Mind the gap", **call))["results"]
    assert Path(result["saved_path"]).suffix == suffix
    assert heard(result["saved_path"]) == (codec, pytest.approx(3, abs=0.2))


async def test_a_song_lasts_as_long_as_it_was_asked_to(audio: Client) -> None:
    options = {"custom_mode": True, "style": "brass", "title": "Rain", "duration": 20}
    task = await ok(audio, "generate_audio", prompt="la la", model="suno-v5.5-beta", options=options, wait_seconds=20)
    assert heard(task["results"][0]["saved_path"])[1] == pytest.approx(20, abs=0.3)


async def test_a_voice_is_told_as_a_name_and_the_next_call_takes_it(audio: Client) -> None:
    options = {"voice_prompt": "a calm voice", "preview_text": "Good evening.", "preferred_name": "calm"}
    made = await ok(audio, "generate_audio", model="qwen-voice-design", options=options, wait_seconds=20)
    assert "results" not in made
    (note,) = [note for note in made["notes"] if note.startswith("Made: voice = ")]
    assert "qwen3-tts-vd" in made["next_step"]
    voice = note.removeprefix("Made: voice = ").rstrip(".")
    spoken = await ok(
        audio, "generate_audio", prompt="Hello", model="qwen3-tts-vd", options={"voice": voice}, wait_seconds=20
    )
    assert heard(spoken["results"][0]["saved_path"])[0] == "pcm_s16le"


async def test_a_song_becomes_a_persona_that_sings_the_next_song(audio: Client, sandbox: Sandbox) -> None:
    song = await ok(audio, "generate_audio", prompt="a song about rain", wait_seconds=20)
    (ids,) = [note for note in song["notes"] if note.startswith("Made: result_id = ")]
    first, second = (each.removeprefix("result_id = ") for each in ids.removeprefix("Made: ").rstrip(".").split(", "))
    assert first != second
    chain = {"source_task_id": song["task_id"], "result_id": first, "name": "Rain", "description": "a low voice"}
    made = await ok(audio, "generate_audio", model="suno-persona", options={"model_params": chain}, wait_seconds=20)
    assert "results" not in made
    (note,) = [note for note in made["notes"] if note.startswith("Made: persona_id = ")]
    persona = note.removeprefix("Made: persona_id = ").rstrip(".")
    options = {"custom_mode": True, "style": "folk", "title": "More rain", "persona_id": persona}
    again = await ok(audio, "generate_audio", prompt="la la", options=options, wait_seconds=20)
    assert again["status"] == "completed"
    assert sandbox.requests("/v1/audios")[-1]["json"]["persona_id"] == persona


async def test_what_a_model_of_sound_does_not_take_is_refused_before_anything_is_sent(
    audio: Client, sandbox: Sandbox
) -> None:
    text = await refused(audio, "generate_audio", prompt="x", options={"duration": 60})
    assert "duration needs custom_mode" in text
    assert "Charged: no." in text
    text = await refused(audio, "generate_audio", prompt="x", model="veo3")
    assert "use generate_video" in text
    chain = {"model_params": {"source_task_id": "https://x/y", "result_id": "1", "name": "a", "description": "b"}}
    text = await refused(audio, "generate_audio", model="suno-persona", options=chain)
    assert "is not the id of an earlier task" in text
    assert sandbox.paid() == 0


async def test_without_the_toolset_a_model_of_sound_says_how_to_get_it(client: Client) -> None:
    shown = await ok(client, "list_models", model="suno-v6-beta")
    assert "EVOLINK_TOOLSETS=media,audio" in shown["next_step"]
