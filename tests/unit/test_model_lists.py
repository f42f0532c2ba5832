"""A list of models says everything, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mcp.client import Client

from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, ok, text_of


async def test_what_every_line_of_a_list_has_is_said_once(client: Client) -> None:
    query = {"kind": "video", "capability": ["first-last-frame"], "query": "first and last frame with sound at 1080p"}
    result = await client.call_tool("list_models", query)
    assert result.structured_content["all_fit"] == "first-last-frame, sound, 1080p"
    assert not any("why" in model for model in result.structured_content["models"])
    text = text_of(result)
    assert text.count("All fit: first-last-frame, sound, 1080p\n") == 1
    assert "fits: " not in text


async def test_a_model_that_needs_more_than_its_share_of_bytes_is_still_listed(
    settings: Settings, clock: FakeClock, connect: Callable[..., Client], tmp_path: Path
) -> None:
    overlay = tmp_path / "models.toml"
    overlay.write_text(f"[model.zebra-one]\nlike = 'gpt-image-2'\ndescription = '{'zebra ' * 800}'\n")
    async with connect(App(replace(settings, models_file=overlay), clock=clock)) as client:
        (model,) = (await ok(client, "list_models", query="zebra-one"))["models"][:1]
        assert model["id"] == "zebra-one"
