"""The program over stdio, spoken to in raw JSON-RPC: every protocol era, the whole job, clean streams."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
from mcp_types import INVALID_REQUEST, PARSE_ERROR

from evolink_mcp import __version__
from tests.e2e.raw import LEGACY, MODERN, envelope, raw_host
from tests.snapshots import PARAMETERS
from tests.support import KEY, Sandbox


def on(sandbox: Sandbox, **more: str) -> dict[str, str]:
    return {"EVOLINK_BASE_URL": sandbox.url, "EVOLINK_FILES_URL": sandbox.url, "EVOLINK_API_KEY": KEY, **more}


@pytest.mark.parametrize("version", LEGACY)
async def test_every_handshake_version_is_served(version: str) -> None:
    async with raw_host() as host:
        result = await host.initialize(version)
        assert result["protocolVersion"] == version
        assert result["serverInfo"]["version"] == __version__
        assert "generate_image" in result["instructions"]
        listed = await host.request("tools/list")
        assert [tool["name"] for tool in listed["result"]["tools"]] == list(PARAMETERS)
        assert not (await host.call("list_models")).get("isError")
    assert host.process.returncode == 0


async def test_the_modern_revision_is_served_without_a_handshake() -> None:
    async with raw_host("stdio") as host:
        listed = await host.request("tools/list", _meta=envelope())
        assert [tool["name"] for tool in listed["result"]["tools"]] == list(PARAMETERS)
        result = await host.call("list_models", meta=envelope(), kind="video")
        assert result["resultType"] == "complete"
    assert host.process.returncode == 0


async def test_a_host_may_discover_and_then_initialize() -> None:
    async with raw_host() as host:
        for _ in range(2):
            discovered = await host.request("server/discover", _meta=envelope())
            assert MODERN in discovered["result"]["supportedVersions"]
        result = await host.initialize("2025-06-18")
        assert result["protocolVersion"] == "2025-06-18"
        assert len((await host.request("tools/list"))["result"]["tools"]) == len(PARAMETERS)


async def test_a_host_may_discover_and_go_on_in_the_modern_way() -> None:
    async with raw_host() as host:
        await host.request("server/discover", _meta=envelope())
        assert "result" in await host.request("tools/list", _meta=envelope())


async def test_a_discover_of_a_wrong_shape_decides_nothing() -> None:
    async with raw_host() as host:
        assert "error" in await host.request("server/discover")
        assert (await host.initialize())["protocolVersion"] == LEGACY[-1]


@pytest.mark.parametrize("shaken", [True, False])
@pytest.mark.parametrize(
    ("line", "number", "code"),
    [
        ("{not json", None, PARSE_ERROR),
        ('{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "\\ud83d"}}', 7, PARSE_ERROR),
        ('{"jsonrpc": "2.0", "id": "\\ud83d", "method": "\\ud83d"}', "?", INVALID_REQUEST),  # its id cannot be sent
        ("[" * 50_000, None, PARSE_ERROR),
        ("[" * 100_000, None, INVALID_REQUEST),  # refused before it is read
    ],
)
async def test_a_line_that_cannot_be_read_is_answered(line: str, number: object, code: int, shaken: bool) -> None:
    async with raw_host() as host:
        if shaken:
            await host.initialize()
        await host.send("")  # nothing was said
        await host.send(line)
        answer = await host.receive()
        assert (answer["id"], answer["error"]["code"]) == (number, code)
        if not shaken:
            await host.initialize()
        assert len((await host.request("tools/list"))["result"]["tools"]) == len(PARAMETERS)


async def test_a_host_that_leaves_at_once_ends_the_program() -> None:
    async with raw_host(seconds=10) as host:
        pass
    assert host.process.returncode == 0


async def test_the_whole_job_over_the_wire(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.configure(image_seconds=1)
    async with raw_host(env=on(sandbox, EVOLINK_OUTPUT_DIR=str(tmp_path))) as host:
        await host.initialize()
        submitted = await host.call("generate_image", prompt="a red kite", size="1:1")
        task_id = submitted["structuredContent"]["task_id"]
        assert submitted["structuredContent"]["polling"]["first_after_seconds"] == 3
        for part in (task_id, "pending", "Next: "):
            assert part in submitted["content"][0]["text"]

        checked = await host.call("check_task", task_id=task_id, wait_seconds=20, meta={"progressToken": "p"})
    task = checked["structuredContent"]
    (result,) = task["results"]
    assert task["status"] == "completed"
    assert Path(result["saved_path"]).read_bytes().startswith(b"\x89PNG")
    text = checked["content"][0]["text"]
    for part in (task_id, "completed", result["url"], result["expires_at"], result["saved_path"], task["next_step"]):
        assert part in text
    values = [note["params"]["progress"] for note in host.notifications if note["method"] == "notifications/progress"]
    assert values
    assert values == sorted(set(values))
    (request,) = sandbox.requests("/v1/images/generations")
    assert set(request["json"]) == {"model", "prompt", "size"}


async def test_an_unknown_tool_is_a_protocol_error() -> None:
    async with raw_host() as host:
        await host.initialize()
        answer = await host.request("tools/call", name="generate_imgae", arguments={})
        assert answer["error"]["code"] == -32602
        assert "generate_image" in answer["error"]["message"]
        modern = await host.request("tools/list")
        assert "result" in modern


async def test_stdout_holds_protocol_only_and_logs_hold_no_key(sandbox: Sandbox) -> None:
    """The host asserts that every line of stdout is a JSON-RPC message."""
    async with raw_host(env=on(sandbox, EVOLINK_LOG_LEVEL="DEBUG")) as host:
        await host.initialize()
        await host.send("this is not JSON")
        await host.send(json.dumps({"jsonrpc": "2.0", "id": "x"}))
        await host.send(json.dumps([1, 2, 3]))
        await host.send("")
        assert (await host.call("check_task", task_id="../../x"))["isError"]
        assert (await host.call("generate_image", prompt="x", model="no-such-model"))["isError"]
        sandbox.fault("images", "html", status=502)
        assert (await host.call("generate_image", prompt="x"))["isError"]
        assert (await host.call("generate_video", nonsense={"a": 1}))["isError"]
        assert (await host.call("list_files"))["structuredContent"]["page"] == 1
    assert "DEBUG" in host.stderr
    assert KEY not in host.stderr


async def test_without_a_key_the_tools_say_what_is_missing() -> None:
    async with raw_host() as host:
        await host.initialize()
        calls: list[tuple[str, dict[str, str]]] = [
            ("generate_image", {"prompt": "x"}),
            ("generate_video", {"prompt": "x"}),
            ("check_task", {"task_id": "task-unified-1-a"}),
            ("upload_file", {"file_url": "https://example.com/a.png"}),
            ("list_files", {}),
            ("delete_file", {"file_id": "f"}),
        ]
        for tool, arguments in calls:
            result = await host.call(tool, meta=None, **arguments)
            assert result["isError"], tool
            text = result["content"][0]["text"]
            assert "EVOLINK_API_KEY" in text
            assert "evolink.ai/dashboard/keys" in text
            assert ("Charged: no." in text) == tool.startswith("generate")
        assert (await host.call("list_models"))["structuredContent"]["total"] > 60


async def test_the_built_in_sandbox_needs_no_key() -> None:
    async with raw_host("--sandbox") as host:
        await host.initialize()
        submitted = await host.call("generate_image", prompt="a cat", wait_seconds=20)
        assert submitted["structuredContent"]["status"] == "completed"


async def test_folders_for_uploads_may_be_arguments(sandbox: Sandbox, tmp_path: Path) -> None:
    """A bundle's host can hand over a list only as arguments."""
    folders = [tmp_path / "a", tmp_path / "b c"]
    for folder in folders:
        folder.mkdir()
        (folder / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    async with raw_host("stdio", "--upload-dirs", *map(str, folders), env=on(sandbox)) as host:
        await host.initialize()
        for folder in folders:
            stored = await host.call("upload_file", file_path=str(folder / "x.png"))
            assert not stored["isError"]
        refused = await host.call("upload_file", file_path=str(tmp_path / "x.png"))
        assert refused["isError"]
    async with raw_host("stdio", "--upload-dirs", env=on(sandbox)) as host:
        assert (await host.initialize())["serverInfo"]


async def test_settings_that_cannot_be_used_stop_the_start() -> None:
    wrong = {"EVOLINK_BASE_URL": "http://example.com", "EVOLINK_SANDBOX": "perhaps"}
    async with raw_host("stdio", env=wrong) as host:
        await host.process.wait()
    assert host.process.returncode == 2
    assert "EVOLINK_BASE_URL" in host.stderr
    assert "EVOLINK_SANDBOX" in host.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to answer")
async def test_a_termination_signal_cleans_up(tmp_path: Path) -> None:
    async with raw_host("--sandbox", env={"TMPDIR": str(tmp_path)}) as host:
        await host.initialize()
        made = await host.call("generate_image", prompt="a cat", wait_seconds=20)
        assert made["structuredContent"]["status"] == "completed"
        assert list(tmp_path.iterdir())
        host.process.send_signal(signal.SIGTERM)
        await host.process.wait()
    assert host.process.returncode == 0
    assert list(tmp_path.iterdir()) == []
