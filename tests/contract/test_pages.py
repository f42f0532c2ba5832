"""Pages of files and tasks, and lists without a history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mcp.client import Client

from evolink_mcp.jobs.file.history import LocalHistory
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import ok


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, toolsets=("media", "account"))


async def test_a_page_larger_than_there_are_is_taken_as_the_largest_with_a_note(client: Client) -> None:
    for tool, most in (("list_tasks", 50), ("list_files", 100)):
        page = await ok(client, tool, page_size=500)
        assert page["page_size"] == most
        assert f"page_size is at most {most}; 500 was taken as that." in page["notes"]


async def test_a_history_that_cannot_be_read_is_noted(client: Client, app: App, tmp_path: Path) -> None:
    assert "notes" not in await ok(client, "list_tasks")
    task = await ok(client, "generate_image", prompt="a red kite", model="gpt-image-2")
    (tmp_path / "a-file").write_text("")
    app.history = LocalHistory(app.settings.base_url, app.clock, tmp_path / "a-file" / "history.db")
    told = await ok(client, "list_tasks", ids=[task["task_id"]])
    assert any("cannot be read now" in note for note in told["notes"])
