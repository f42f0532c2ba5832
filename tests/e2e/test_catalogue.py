"""Music, speech and an upscaled film through the real program over stdio: made, waited for, saved, decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av

from tests.e2e.raw import raw_host
from tests.support import KEY, Sandbox


async def test_sounds_and_an_upscaled_film_are_made_waited_for_saved_and_decoded(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    calls: list[tuple[str, dict[str, Any], str]] = [
        ("generate_audio", {"prompt": "a song about rain"}, "audio"),
        ("generate_audio", {"prompt": "Mind the gap.", "model": "doubao-seed-audio-1-0"}, "audio"),
        (
            "generate_video",
            {"model": "topaz-video-upscale", "options": {"video_urls": [f"{sandbox.url}/old.mp4"]}},
            "video",
        ),
    ]
    env = {
        "EVOLINK_BASE_URL": sandbox.url,
        "EVOLINK_FILES_URL": sandbox.url,
        "EVOLINK_API_KEY": KEY,
        "EVOLINK_OUTPUT_DIR": str(tmp_path),
        "EVOLINK_TOOLSETS": "media,audio",
    }
    async with raw_host(env=env) as host:
        await host.initialize()
        submitted = [(await host.call(tool, **arguments))["structuredContent"] for tool, arguments, _ in calls]
        tasks = [await host.call("check_task", task_id=each["task_id"], wait_seconds=30) for each in submitted]
    for (_, _, kind), checked in zip(calls, tasks, strict=True):
        task = checked["structuredContent"]
        assert (task["status"], task["kind"]) == ("completed", kind)
        for result in task["results"]:
            assert frames(result["saved_path"], kind)


def frames(path: str, kind: str) -> int:
    """How much of a file can be decoded."""
    with av.open(path) as container:
        return sum(1 for _ in (container.decode(video=0) if kind == "video" else container.decode(audio=0)))
