"""Two readings of the same reference agree: what the registry lets through, the sandbox takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.gateway import Caller, media
from evolink_mcp.registry import load
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests import documents
from tests.support import FakeClock, Sandbox, ok, refused

CALLABLE = [model for model in load().models.values() if model.status != "placeholder"]


@pytest.mark.parametrize("model", CALLABLE, ids=lambda model: model.id)
async def test_every_example_passes_the_check_and_the_sandbox(caller: Caller, sandbox: Sandbox, model: Any) -> None:
    # The files of a long film are of no interest here: fail the task before they are made.
    sandbox.fault(f"{model.endpoint}s", "no_urls")
    checked = load().check(model.endpoint, model.id, model.example)
    assert checked.problems == ()
    task = await media.create(caller, model.endpoint, {"model": model.id, **checked.params}, seconds=10)
    assert task.model == model.id


@pytest.mark.parametrize("kind", ["image", "video", "audio"])
async def test_every_example_is_a_call_that_can_be_made_as_it_stands(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], sandbox: Sandbox, kind: str
) -> None:
    models = [model for model in CALLABLE if model.endpoint == kind]
    async with connect(App(replace(settings, toolsets=("media", "audio")), clock=clock)) as client:
        for model in models:
            page = await ok(client, "list_models", model=model.id)
            assert f"generate_{kind}" in page["next_step"]
            answer = await ok(client, f"generate_{kind}", **page["example"], dry_run=True)
            assert answer["model"] == model.id
            assert answer["would_send"].keys() == {*model.example}
            assert not answer.get("notes") or not any("sent as" in note for note in answer["notes"])


def test_what_is_made_of_the_data_is_that_of_the_data() -> None:
    for path, text in documents.pages():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make generated`"


OVERLAY = """
[model."acme-paint-9"]
kind = "image"
provider = "Acme"
description = "Paints what it is told."
capabilities = ["text-to-image"]
example = { prompt = "a barn" }
[model."acme-paint-9".parameters]
prompt = { type = "string", required = true, length = [1, 20] }
mood = { type = "string", allowed = ["calm", "wild"] }
"""


async def test_a_model_of_the_operators_own_is_listed_checked_and_used(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], sandbox: Sandbox, tmp_path: Path
) -> None:
    overlay = tmp_path / "models.toml"
    overlay.write_text(OVERLAY, encoding="utf-8")
    sandbox.learn("acme-paint-9", "image")
    async with connect(App(replace(settings, models_file=overlay, image_model="acme-paint-9"), clock=clock)) as client:
        listed = await ok(client, "list_models", query="acme")
        assert [(model["id"], model.get("default")) for model in listed["models"]] == [("acme-paint-9", True)]
        text = await refused(client, "generate_image", prompt="x" * 21, options={"mood": "mild"})
        assert "prompt" in text
        assert "calm, wild" in text
        task = await ok(client, "generate_image", prompt="a red barn", options={"mood": "calm"}, wait_seconds=20)
        assert task["status"] == "completed"
        assert Path(task["results"][0]["saved_path"]).is_file()


async def test_an_overlay_that_cannot_be_used_is_reported_and_the_models_stay(
    settings: Settings,
    connect: Callable[..., Client],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    overlay = tmp_path / "broken.toml"
    overlay.write_text('[model."x"]\nkind = "hologram"\n', encoding="utf-8")
    caplog.set_level(logging.WARNING)
    async with connect(App(replace(settings, models_file=overlay))) as client:
        assert (await ok(client, "list_models"))["total"] == len(load().models)
    assert "broken.toml" in caplog.text
    assert "kind" in caplog.text


async def test_an_unlisted_model_is_refused_unless_the_operator_allows_it(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], sandbox: Sandbox
) -> None:
    sandbox.learn("future-model-1", "image")
    call: dict[str, Any] = {"prompt": "x", "model": "future-model-1", "options": {"novelty": 3}}
    async with connect(App(settings, clock=clock)) as client:
        await refused(client, "generate_image", **call)
    assert sandbox.paid() == 0
    async with connect(App(replace(settings, allow_unlisted_models=True), clock=clock)) as client:
        task = await ok(client, "generate_image", **call)
        assert any("future-model-1" in note for note in task["notes"])
    (request,) = sandbox.requests("/v1/images")
    assert request["json"] == {"model": "future-model-1", "prompt": "x", "novelty": 3}
