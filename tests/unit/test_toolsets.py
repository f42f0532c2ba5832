"""Which tools are offered: by the operator's word, and less by a request's own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
from mcp.client import Client
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

from evolink_mcp import cli
from evolink_mcp.errors import SettingsError
from evolink_mcp.settings import TOOLSETS, Settings, Toolset, read_settings
from evolink_mcp.tools.app import App
from tests.snapshots import MORE_PARAMETERS, PARAMETERS, TOOLS, read_snapshot
from tests.support import FakeClock, offered_tools

Connect = Callable[..., Client]
ACCOUNT = TOOLS["account"]
EVERYTHING = [*PARAMETERS, *MORE_PARAMETERS]
MEDIA_AND_ACCOUNT = [name for name in EVERYTHING if name in {*PARAMETERS, *ACCOUNT}]
READING = [name for name in EVERYTHING if read_snapshot(name)["annotations"]["readOnlyHint"]]


def offered(*toolsets: Toolset, read_only: bool = False) -> list[str]:
    return [tool.name for tool in offered_tools(App(Settings(toolsets=toolsets, read_only=read_only)))]


def test_each_toolset_has_its_tools() -> None:
    assert offered("media") == list(PARAMETERS)
    assert offered("audio") == TOOLS["audio"] == ["generate_audio", "check_task", "list_models"]
    assert offered("media", "audio") == [*PARAMETERS, "generate_audio"]
    assert offered("text") == TOOLS["text"]
    assert offered("account") == ACCOUNT
    assert "check_task" in ACCOUNT  # what list_tasks finds can be checked
    assert offered("account", "media") == MEDIA_AND_ACCOUNT
    assert offered(*TOOLSETS) == EVERYTHING


def test_what_a_tool_takes_is_made_once_for_all_apps() -> None:
    one, other = (offered_tools(App(Settings(toolsets=TOOLSETS))) for _ in range(2))
    assert all(a.fn_metadata.arg_model is b.fn_metadata.arg_model for a, b in zip(one, other, strict=True))


def test_read_only_leaves_what_spends_and_changes_nothing() -> None:
    assert offered(*TOOLSETS, read_only=True) == READING
    assert {"generate_image", "generate_video", "generate_text", "upload_file", "delete_file"}.isdisjoint(READING)
    assert offered("text", read_only=True) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ("media",)),
        ("text", ("text",)),
        ("account, media", ("media", "account")),
        ("ALL", TOOLSETS),
        ("all,text", TOOLSETS),
        ('["media","text"]', ("media", "text")),
        ("['account', 'vidoe']", ("account",)),
        ("[toolsets]", ("media",)),
    ],
)
def test_toolsets_are_read_from_the_environment(value: str, expected: tuple[str, ...]) -> None:
    assert read_settings({"EVOLINK_TOOLSETS": value}).toolsets == expected


@pytest.mark.parametrize("value", ["media,txt", ",", "everything"])
def test_a_toolset_that_does_not_exist_is_a_problem(value: str) -> None:
    with pytest.raises(SettingsError, match="EVOLINK_TOOLSETS must name some of media, audio, text, account, all"):
        read_settings({"EVOLINK_TOOLSETS": value}, strict=True)


@pytest.mark.parametrize(
    ("arguments", "toolsets", "read_only"),
    [
        ((), ("text",), False),
        (("stdio",), ("text",), False),
        (("stdio", "--toolsets", "account"), ("account",), False),
        (("stdio", "--toolsets=all", "--read-only"), TOOLSETS, True),
        (("--toolsets", "all"), TOOLSETS, False),
        (("--read-only",), ("text",), True),
        (("--toolsets", "all", "--read-only", "stdio"), TOOLSETS, True),
        (("--toolsets", "all", "stdio", "--toolsets", "account"), ("account",), False),
    ],
)
def test_flags_decide_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], toolsets: tuple[str, ...], read_only: bool
) -> None:
    started: list[Settings] = []

    async def run_stdio(settings: Settings, use_sandbox: bool, front: object) -> None:
        started.append(settings)

    monkeypatch.setattr("evolink_mcp.transports.stdio.run_stdio", run_stdio)
    monkeypatch.setattr("evolink_mcp.guard.logs.set_up_logging", Mock())
    monkeypatch.setenv("EVOLINK_TOOLSETS", "text")
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert [(each.toolsets, each.read_only) for each in started] == [(toolsets, read_only)]


def test_a_flag_that_names_no_toolset_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(("stdio", "--toolsets", "txt"))
    assert "media, audio, text, account, all" in capsys.readouterr().err


@contextmanager
def header(monkeypatch: pytest.MonkeyPatch, value: str | None) -> Generator[None]:
    """Requests come with this header, as they do over HTTP."""

    class Request:
        headers = {} if value is None else {"x-evolink-toolsets": value}
        scope: ClassVar[dict[str, object]] = {}

    with monkeypatch.context() as patched:
        patched.setattr(ServerRequestContext, "__init__", _with(Request()))
        yield


def _with(request: object) -> Callable[..., None]:
    original = ServerRequestContext.__init__

    def init(self: Any, **fields: Any) -> None:
        fields["request"] = request
        original(self, **fields)

    return init


@pytest.fixture(params=["auto", "legacy"])
async def mode(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_a_header_takes_tools_away_and_never_adds_one(
    settings: Settings, clock: FakeClock, connect: Connect, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    app = App(replace(settings, toolsets=("media", "account")), clock=clock)
    async with connect(app, mode) as client:

        async def names() -> list[str]:
            return [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]

        everything = MEDIA_AND_ACCOUNT
        account = [name for name in everything if name in ACCOUNT]
        for value, expected in {
            None: everything,
            "": everything,
            "all": everything,
            "account": account,
            "account,text": account,
            "media": list(PARAMETERS),
        }.items():
            with header(monkeypatch, value):
                assert await names() == expected, value
        with header(monkeypatch, "account"):
            assert not (await client.call_tool("check_balance", {})).is_error
            with pytest.raises(MCPError, match="Unknown tool: 'generate_image'"):
                await client.call_tool("generate_image", {"prompt": "x"})
        with header(monkeypatch, "text"):
            with pytest.raises(MCPError, match="leaves no tool: this server offers nothing of text"):
                await client.call_tool("generate_text", {"prompt": "x"})
            with pytest.raises(MCPError, match="leaves no tool"):
                await names()
        with header(monkeypatch, "acount"), pytest.raises(MCPError, match="X-EvoLink-Toolsets must name some of"):
            await names()
        assert await names() == everything


async def test_without_the_toolset_its_tools_do_not_exist(client: Client) -> None:
    for name in MORE_PARAMETERS:
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool(name, {})
