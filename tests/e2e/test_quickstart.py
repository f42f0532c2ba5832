"""The quick start (S0) on the sandbox: image, video and text; its own example; and a task that outlives its process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.raw import raw_host
from tests.support import KEY, Sandbox

EXAMPLE = Path(__file__).parent / "data" / "quickstart.py.txt"  # as S0 prints it


def test_the_example_of_the_quick_start_runs_with_another_url_only(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = EXAMPLE.read_text(encoding="utf-8")
    assert source.count("https://api.evolink.ai") == 1
    monkeypatch.setenv("EVOLINK_API_KEY", KEY)

    def pause(seconds: float) -> None:
        sandbox.settle()

    monkeypatch.setattr(time, "sleep", pause)
    exec(compile(source.replace("https://api.evolink.ai", sandbox.url), EXAMPLE.name, "exec"), {})
    link = capsys.readouterr().out.strip()
    assert httpx2.get(link, trust_env=False).content.startswith(b"\x89PNG")
    (request,) = sandbox.requests("/v1/images/generations")
    assert request["json"]["model"] == "gpt-image-2"


async def test_image_video_and_text_as_in_the_quick_start(sandbox: Sandbox, tmp_path: Path) -> None:
    env = {
        "EVOLINK_BASE_URL": sandbox.url,
        "EVOLINK_TEXT_URL": sandbox.url,
        "EVOLINK_API_KEY": KEY,
        "EVOLINK_OUTPUT_DIR": str(tmp_path),
        "EVOLINK_TOOLSETS": "all",
    }
    image: dict[str, Any] = {
        "model": "gpt-image-2",
        "prompt": "A cinematic wide-angle shot of a futuristic city skyline at dusk",
        "size": "16:9",
        "resolution": "4K",
        "quality": "high",
        "n": 1,
    }
    video: dict[str, Any] = {
        "model": "seedance-2.0-text-to-video",
        "prompt": "A macro shot focuses on a green glass frog on a leaf",
        "duration": 4,
        "quality": "480p",
        "aspect_ratio": "16:9",
        "generate_audio": True,
    }
    async with raw_host(env=env, seconds=60) as host:
        await host.initialize()
        for tool, arguments, head in (
            ("generate_image", image, slice(1, 4)),
            ("generate_video", video, slice(4, 8)),
        ):
            made = _told(await host.call(tool, **arguments, wait_seconds=45))
            (result,) = made["results"]
            assert Path(result["saved_path"]).read_bytes()[head] in (b"PNG", b"ftyp")
        text = _told(await host.call("generate_text", prompt="Introduce EvoLink in three sentences"))
        assert text["stop_reason"] == "end_turn"
        listed = _told(await host.call("list_tasks"))
        assert [task["kind"] for task in listed["tasks"]] == ["video", "image"]
        assert _told(await host.call("check_balance"))["spendable_credits"] > 0
    assert host.process.returncode == 0
    (sent,) = sandbox.requests("/v1/images/generations")
    assert sent["json"] == image
    (sent,) = sandbox.requests("/v1/videos/generations")
    assert sent["json"] == video
    (sent,) = sandbox.requests("/v1/messages")
    assert sent["json"]["model"] == "claude-sonnet-4-5-20250929"
    assert sent["json"]["max_tokens"] == 1024


def _told(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("isError"), result
    return result["structuredContent"]


async def test_a_task_outlives_the_process_that_paid_for_it(sandbox: Sandbox, tmp_path: Path) -> None:
    """Killed outright after a submit; a new process finds the task, finishes it and saves it."""
    env = {
        "EVOLINK_BASE_URL": sandbox.url,
        "EVOLINK_API_KEY": KEY,
        "EVOLINK_OUTPUT_DIR": str(tmp_path / "out"),
        "EVOLINK_TOOLSETS": "media,account",
        "EVOLINK_HISTORY": "on",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "HOME": str(tmp_path),
    }
    async with raw_host(env=env) as host:
        await host.initialize()
        submitted = _told(await host.call("generate_image", prompt="a lighthouse at dawn"))
        host.process.kill()
        await host.process.wait()
    sandbox.settle()
    async with raw_host(env=env) as host:
        await host.initialize()
        (task,) = _told(await host.call("list_tasks"))["tasks"]
        assert (task["task_id"], task["prompt"]) == (submitted["task_id"], "a lighthouse at dawn")
        done = _told(await host.call("check_task", task_id=task["task_id"], wait_seconds=20))
        saved = done["results"][0]["saved_path"]
        assert Path(saved).read_bytes().startswith(b"\x89PNG")
        (task,) = _told(await host.call("list_tasks"))["tasks"]
        assert task["saved_paths"] == [saved]
        assert KEY not in host.stderr
        sandbox.fault("tasks", "status", status=404)
        (task,) = _told(await host.call("list_tasks"))["tasks"]
        assert (task["prompt"], task["saved_paths"]) == ("a lighthouse at dawn", [saved])
    assert host.process.returncode == 0
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert b"lighthouse" in kept
    assert KEY.encode() not in kept
