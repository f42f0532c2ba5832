"""A list of models says everything, and nothing twice."""

from __future__ import annotations

from mcp.client import Client

from tests.support import text_of


async def test_what_every_line_of_a_list_has_is_said_once(client: Client) -> None:
    query = {"kind": "video", "capability": ["first-last-frame"], "query": "first and last frame with sound at 1080p"}
    result = await client.call_tool("list_models", query)
    assert result.structured_content["all_fit"] == "first-last-frame, sound, 1080p"
    assert not any("why" in model for model in result.structured_content["models"])
    text = text_of(result)
    assert text.count("All fit: first-last-frame, sound, 1080p\n") == 1
    assert "fits: " not in text
