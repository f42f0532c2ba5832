"""The card as the server offers it: its page, its tool, its files, and what all of it costs hosts that have no apps."""

from __future__ import annotations

import asyncio
import base64
import io
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError
from mcp_types import BlobResourceContents, ImageContent, TextResourceContents
from PIL import Image

from evolink_mcp import card
from evolink_mcp.card.show import safe_link
from evolink_mcp.sdk.offer import APPS
from evolink_mcp.server import create_server
from evolink_mcp.settings import TOOLSETS, Settings
from evolink_mcp.tools.app import App
from tests.snapshots import compact
from tests.support import FakeClock, Sandbox, ok, refused

MAX_PAGE_BYTES = 20_000
MAX_MORE_BYTES = 400  # of tools/list, for a host with apps
MAX_PICTURE_CHARACTERS = 130_000  # Claude cuts a result at 150,000
EXTENSIONS = [advertise(APPS, {"mimeTypes": [card.MIME_TYPE]})]


@pytest.fixture(params=["auto", "legacy"])
async def host(request: pytest.FixtureRequest, app: App) -> AsyncIterator[Client]:
    """A client that shows apps, of each protocol era."""
    async with Client(create_server(app), mode=request.param, extensions=EXTENSIONS) as client:
        yield client
    await app.aclose()


def tool_bytes(tools: Any) -> int:
    return len(compact([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]).encode())


async def test_hosts_find_the_page_behind_the_tools(host: Client) -> None:
    tools = {tool.name: tool for tool in (await host.list_tools()).tools}
    for name in ("generate_image", "generate_video", "check_task"):
        assert tools[name].meta == {"ui": {"resourceUri": card.card_uri()}}
    assert tools["show_task"].meta == {"ui": {"visibility": ["app"]}}
    listed = {str(resource.uri): resource for resource in (await host.list_resources()).resources}
    (page,) = (await host.read_resource(card.card_uri())).contents
    assert isinstance(page, TextResourceContents)
    assert page.mime_type == "text/html;profile=mcp-app"
    ui = {"csp": {"resourceDomains": ["https://*.evolink.ai"]}, "prefersBorder": True}
    assert (page.meta or {})["ui"] == ui
    assert (listed[card.card_uri()].meta or {})["ui"] == ui


async def test_a_host_without_apps_is_not_shown_the_tool_of_the_card(either: Client) -> None:
    assert "show_task" not in [tool.name for tool in (await either.list_tools()).tools]


CALLS: dict[str, dict[str, Any]] = {
    "generate_image": {"prompt": "a red kite"},
    "generate_video": {"prompt": "waves", "dry_run": True},
    "generate_audio": {"prompt": "rain", "dry_run": True},
    "generate_text": {"prompt": "a poem on kites"},
    "check_task": {"task_id": "task-unified-1-none"},
    "list_tasks": {},
    "list_models": {"query": "fast film with sound"},
    "list_files": {},
    "upload_file": {"base64_data": "data:text/plain;base64,aGVsbG8="},
    "delete_file": {"file_id": "file_none"},
    "check_balance": {},
}
NEW = re.compile(r"[\w-]*\d[\w-]*")  # ids, times and sums: each server has its own


async def test_a_host_without_apps_is_told_the_same_by_every_tool(settings: Settings, sandbox: Sandbox) -> None:
    told: list[dict[str, Any]] = []
    for extensions in ([], EXTENSIONS):
        sandbox.reset()
        sandbox.configure(image_seconds=3600)
        server = App(replace(settings, toolsets=TOOLSETS))
        async with Client(create_server(server), mode="auto", extensions=extensions) as client:
            names = {tool.name for tool in (await client.list_tools()).tools} - set(card.BESIDE)
            assert names == set(CALLS)
            answers = {name: await client.call_tool(name, arguments) for name, arguments in CALLS.items()}
        await server.aclose()
        plain = {name: answer.model_dump_json(by_alias=True) for name, answer in answers.items()}
        told.append({name: NEW.sub("…", words) for name, words in plain.items()})
    assert told[0] == told[1]


async def test_the_list_of_tools_hardly_grows(client: Client, host: Client) -> None:
    tools = (await host.list_tools()).tools
    bare = [tool.model_copy(update={"meta": None}) for tool in tools if tool.name != "show_task"]
    plain = (await client.list_tools()).tools
    assert tool_bytes(plain) - tool_bytes(bare) <= MAX_MORE_BYTES / 2
    assert tool_bytes(tools) - tool_bytes(bare) <= MAX_MORE_BYTES


def test_every_tool_with_a_card_exists() -> None:
    server = create_server(App(Settings(toolsets=TOOLSETS)))
    names = {tool.name for tool in server._tool_manager.list_tools()}  # pyright: ignore[reportPrivateUsage]
    assert card.TOOLS <= names
    assert set(card.BESIDE) <= names


async def test_what_the_list_says_of_the_tool_is_what_it_takes(app: App) -> None:
    from evolink_mcp.card.show import show_task

    (brief,), whole = card.app_tools(app, ["check_task"]), show_task.build(app)
    assert set(brief.parameters["properties"]) == set(whole.parameters["properties"])
    assert brief.name == whole.name
    assert card.app_tools(app, ["generate_text"]) == []


def test_the_page_is_small_and_stands_alone() -> None:
    page = card.page()
    assert len(page.encode()) <= MAX_PAGE_BYTES
    assert "http:" not in page
    assert "https:" not in page.replace('"https:"', "").replace("^https?:", "")
    source = card.SOURCE.read_text(encoding="utf-8")
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "blob:", "src=", "import "):
        assert word not in source


def test_the_address_changes_with_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = card.card_uri()
    monkeypatch.setattr(card, "SOURCE", tmp_path / "card.html")
    card.SOURCE.write_text("another", encoding="utf-8")
    assert card.card_uri.__wrapped__() != before


async def test_a_chat_that_outlived_an_upgrade_is_shown_the_present_card(either: Client) -> None:
    old = "ui://card/0123abcd"
    (page,) = (await either.read_resource(old)).contents
    (present,) = (await either.read_resource(card.card_uri())).contents
    assert isinstance(page, TextResourceContents)
    assert page.uri == old
    assert page.model_copy(update={"uri": present.uri}) == present
    for unknown in ("ui://card/0123abc", "ui://card/0123abcd/x", "ui://card/0123ABCD", "ui://cards/0123abcd"):
        with pytest.raises(MCPError, match="Unknown resource"):
            await either.read_resource(unknown)


async def test_a_card_gets_status_picture_and_file(host: Client, sandbox: Sandbox) -> None:
    made = await ok(host, "generate_image", prompt="a red kite", n=2, model="gpt-image-1.5")
    sandbox.settle()
    answer = await host.call_tool("show_task", {"task_id": made["task_id"], "picture": 2})
    content: dict[str, Any] = answer.structured_content or {}
    assert content["task"]["status"] == "completed"
    assert content["links"] == [result["url"] for result in content["task"]["results"]]
    (picture,) = [block for block in answer.content if isinstance(block, ImageContent)]
    assert picture.mime_type == "image/jpeg"
    assert base64.b64decode(picture.data).startswith(b"\xff\xd8")
    file = f"evolink://tasks/{made['task_id']}/results/2"
    (blob,) = (await host.read_resource(file)).contents
    assert isinstance(blob, BlobResourceContents)
    assert base64.b64decode(blob.blob).startswith(b"\x89PNG")
    assert sandbox.paid() == 1


async def test_a_picture_is_made_once(host: Client, sandbox: Sandbox, settings: Settings) -> None:
    made = await ok(host, "generate_image", prompt="a red kite", wait_seconds=20)
    sent = [await host.call_tool("show_task", {"task_id": made["task_id"], "picture": 1}) for _ in range(3)]
    assert all(len(answer.content) == 2 for answer in sent)
    assert len(sandbox.requests("/results/")) == 1


async def test_the_poster_of_a_film_is_its_first_frame(host: Client, sandbox: Sandbox) -> None:
    made = await ok(host, "generate_video", prompt="waves", aspect_ratio="16:9")
    sandbox.settle()
    sizes: list[tuple[int, int]] = []
    for tool, arguments in (("show_task", {"picture": 1}), ("check_task", {"preview": True})):
        answer = await host.call_tool(tool, {"task_id": made["task_id"], **arguments})
        (block,) = [block for block in answer.content if isinstance(block, ImageContent)]
        with Image.open(io.BytesIO(base64.b64decode(block.data))) as picture:
            sizes.append(picture.size)
    assert sizes[0] == (512, 288)
    assert sizes[1][0] / sizes[1][1] < 1  # first and last, one above the other


async def test_the_list_knows_the_prompts_of_this_process(
    connect: Callable[[App], Client], settings: Settings, clock: FakeClock, sandbox: Sandbox
) -> None:
    async with connect(App(replace(settings, toolsets=TOOLSETS), clock=clock)) as client:
        await ok(client, "generate_image", prompt="a red kite")
        sandbox.settle()
        (task,) = (await ok(client, "list_tasks"))["tasks"]
        assert task["prompt"] == "a red kite"


def test_a_picture_fits_into_one_answer() -> None:
    from evolink_mcp.media import decoder

    assert decoder.MAX_PREVIEW_BYTES * 4 / 3 <= MAX_PICTURE_CHARACTERS


@pytest.mark.parametrize("number", ["0", "2", "x", "-1", "99999999999"])
async def test_a_result_that_is_not_there_is_not_found(client: Client, sandbox: Sandbox, number: str) -> None:
    made = await ok(client, "generate_image", prompt="a red kite", wait_seconds=20)
    with pytest.raises(MCPError, match="no result"):
        await client.read_resource(f"evolink://tasks/{made['task_id']}/results/{number}")


async def test_a_result_behind_a_dead_link_says_so(
    connect: Callable[[App], Client], settings: Settings, clock: FakeClock, sandbox: Sandbox
) -> None:
    sandbox.configure(link_seconds=0)
    async with connect(App(replace(settings, output_dir=None), clock=clock)) as client:
        made = await ok(client, "generate_image", prompt="a red kite", wait_seconds=20)
        with pytest.raises(MCPError, match="cannot be read"):
            await client.read_resource(f"evolink://tasks/{made['task_id']}/results/1")


async def test_callers_elsewhere_get_smaller_files_and_one_at_a_time(
    connect: Callable[[App], Client],
    settings: Settings,
    clock: FakeClock,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connect(App(settings, clock=clock, local_files=False)) as client:
        made = await ok(client, "generate_image", prompt="a red kite", wait_seconds=20)
        file = f"evolink://tasks/{made['task_id']}/results/1"
        before = len(sandbox.requests("/results/"))
        sandbox.fault("result", "slow", delay=0.3, times=3)
        reads = [asyncio.create_task(client.read_resource(file)) for _ in range(3)]
        await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
        assert len(sandbox.requests("/results/")) - before < 3
        assert [len((await each).contents) for each in reads] == [1, 1, 1]
    monkeypatch.setattr("evolink_mcp.card.files.MAX_BYTES_ELSEWHERE", 100)
    async with connect(App(settings, clock=clock, local_files=False)) as client:
        with pytest.raises(MCPError, match="larger than 100 bytes"):
            await client.read_resource(file)
    async with connect(App(settings, clock=clock)) as client:
        assert (await client.read_resource(file)).contents


async def test_the_card_shows_nobody_more_than_check_task(client: Client) -> None:
    text = await refused(client, "show_task", task_id="task-unified-unknown")
    assert text.splitlines()[0].endswith("]")
    text = await refused(client, "show_task", task_id="../x")
    assert "invalid_task_id" in text


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://files.evolink.ai/a.png", True),
        ("https://evolink.ai/a.png", True),
        ("http://127.0.0.1:8787/results/a.png", True),
        ("http://files.evolink.ai/a.png", False),
        ("http://127.0.0.1:1/admin", False),
        ("https://127.0.0.1:8787/a.png", False),
        ("https://evilevolink.ai/", False),
        ("https://evolink.ai.example/", False),
        ("https://files.evolink.ai:444/", False),
        ("https://files.evolink.ai@example.com/", False),
        ("https://u:p@files.evolink.ai/", False),
        ("javascript:alert(1)", False),
        ("https://[", False),
        ("https://files.evolink.ai:x/", False),
        ("", False),
    ],
)
def test_a_card_opens_links_of_the_gateway_only(url: str, safe: bool) -> None:
    sandbox = "http://127.0.0.1:8787"
    assert safe_link(url, Settings(base_url=sandbox, files_url=sandbox)) == (url if safe else "")


async def test_the_server_has_an_icon_that_answers_do_not_repeat(
    connect: Callable[..., Client], settings: Settings, clock: FakeClock
) -> None:
    for mode in ("auto", "legacy"):
        async with connect(App(settings, clock=clock), mode) as client:
            assert client.server_info is not None
            icons = client.server_info.icons or []
            assert [icon.mime_type for icon in icons] == ["image/svg+xml", "image/png"]
            assert all(icon.src.startswith("data:image/") for icon in icons)
            assert sum(len(icon.src) for icon in icons) < 1_200
            answer = await client.call_tool("list_models", {})
            assert "icons" not in compact(answer.model_dump(mode="json", by_alias=True, exclude_none=True))
