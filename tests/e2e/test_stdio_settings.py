"""Settings that a client left unfilled: the program makes and sends nothing by them, and its tools name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.raw import raw_host
from tests.support import KEY, Sandbox


@pytest.fixture
def gateway(sandbox: Sandbox) -> dict[str, str]:
    sandbox.configure(image_seconds=0)
    return {"EVOLINK_BASE_URL": sandbox.url, "EVOLINK_FILES_URL": sandbox.url, "EVOLINK_API_KEY": KEY}


async def test_a_key_that_is_a_placeholder_is_not_sent_and_the_tool_names_it(
    sandbox: Sandbox, gateway: dict[str, str]
) -> None:
    async with raw_host(env={**gateway, "EVOLINK_API_KEY": "%EVOLINK_API_KEY%"}) as host:
        await host.initialize()
        answer = await host.call("generate_image", prompt="x")
    assert answer["isError"]
    text = answer["content"][0]["text"]
    assert "EVOLINK_API_KEY holds '%EVOLINK_API_KEY%', which was not filled in." in text
    assert "Charged: no." in text
    assert sandbox.requests() == []
    assert "EVOLINK_API_KEY holds" in host.stderr


async def test_no_folder_is_named_by_a_placeholder_and_the_result_says_so(
    gateway: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with raw_host(env={**gateway, "EVOLINK_OUTPUT_DIR": "${workspaceFolder}/out"}) as host:
        await host.initialize()
        answer = await host.call("generate_image", prompt="x", wait_seconds=20)
    assert answer["structuredContent"]["status"] == "completed"
    assert (
        "Note: EVOLINK_OUTPUT_DIR holds '${workspaceFolder}', which was not filled in." in answer["content"][0]["text"]
    )
    assert list(tmp_path.iterdir()) == []


async def test_folders_that_are_not_open_because_of_a_placeholder_are_explained(gateway: dict[str, str]) -> None:
    async with raw_host(env={**gateway, "EVOLINK_UPLOAD_DIRS": "{{folders}}"}) as host:
        await host.initialize()
        answer = await host.call("upload_file", file_path="/nowhere/x.png")
    assert "EVOLINK_UPLOAD_DIRS holds '{{folders}}'" in answer["content"][0]["text"]


async def test_a_harmless_value_that_is_wrong_is_told_and_stops_nothing(gateway: dict[str, str]) -> None:
    async with raw_host(env={**gateway, "EVOLINK_LOG_LEVEL": "loud", "EVOLINK_HISTORY": "maybe"}) as host:
        assert (await host.initialize())["serverInfo"]
    assert "EVOLINK_LOG_LEVEL must be one of DEBUG, INFO" in host.stderr
    assert "EVOLINK_HISTORY must be one of on, off" in host.stderr


async def test_where_nothing_can_be_remembered_everything_else_works_and_it_is_said_once(
    sandbox: Sandbox, gateway: dict[str, str]
) -> None:
    async with raw_host(env={**gateway, "EVOLINK_HISTORY": "on", "HOME": "/dev/null/home"}) as host:
        await host.initialize()
        for number in range(2):
            answer = await host.call("generate_image", prompt=f"x{number}", wait_seconds=20)
            assert answer["structuredContent"]["status"] == "completed"
    assert len([line for line in host.stderr.splitlines() if "history" in line.lower()]) == 1
    assert sandbox.paid() == 2
