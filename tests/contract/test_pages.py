"""Pages of files and tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mcp.client import Client

from evolink_mcp.settings import Settings
from tests.support import ok


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, toolsets=("media", "account"))


async def test_a_page_larger_than_there_are_is_taken_as_the_largest_with_a_note(client: Client) -> None:
    for tool, most in (("list_tasks", 50), ("list_files", 100)):
        page = await ok(client, tool, page_size=500)
        assert page["page_size"] == most
        assert f"page_size is at most {most}; 500 was taken as that." in page["notes"]
