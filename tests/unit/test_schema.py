"""Schemas are small and stay as they are; tests/unit/test_portable.py holds them to the portable profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from evolink_mcp.registry.wishes import words
from evolink_mcp.sdk.schema import portable
from evolink_mcp.settings import TOOLSETS, Settings, Toolset
from evolink_mcp.tools import toolsets as offers
from evolink_mcp.tools.app import App
from evolink_mcp.tools.media import INSTRUCTIONS
from tests import tokens
from tests.snapshots import MORE_PARAMETERS, PARAMETERS, compact, read_snapshot, schemas
from tests.support import offered_tools


@pytest.fixture(scope="module")
def default() -> list[dict[str, Any]]:
    return schemas()


@pytest.fixture(scope="module")
def listed() -> list[dict[str, Any]]:
    return schemas(TOOLSETS)


def test_the_seven_tools_come_in_a_fixed_order_with_their_parameters(default: list[dict[str, Any]]) -> None:
    assert {tool["name"]: list(tool["inputSchema"]["properties"]) for tool in default} == PARAMETERS
    assert [tool["name"] for tool in default] == list(PARAMETERS)


def test_the_other_toolsets_come_after_them(listed: list[dict[str, Any]]) -> None:
    expected = {**PARAMETERS, **MORE_PARAMETERS}
    assert {tool["name"]: list(tool["inputSchema"]["properties"]) for tool in listed} == expected
    assert [tool["name"] for tool in listed] == list(expected)


def test_the_default_list_is_byte_for_byte_that_of_the_snapshots(default: list[dict[str, Any]]) -> None:
    """A host pays for the list on every connection; a toolset more must not cost those who do not use it a byte."""
    assert compact(default) == compact([read_snapshot(name) for name in PARAMETERS])


def test_every_tool_states_a_title_and_all_four_hints(listed: list[dict[str, Any]]) -> None:
    hints = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
    for tool in listed:
        assert tool["title"]
        assert all(isinstance(tool["annotations"][hint], bool) for hint in hints)
    by_name = {tool["name"]: tool for tool in listed}
    for paid in ("generate_image", "generate_video", "generate_audio", "generate_text"):
        tool = by_name[paid]
        assert [tool["annotations"][hint] for hint in hints] == [False, False, False, True]
        assert "paid" in tool["title"]
        assert "PAID" in tool["description"]
    assert by_name["delete_file"]["annotations"]["destructiveHint"]
    assert by_name["delete_file"]["annotations"]["idempotentHint"]
    assert not by_name["upload_file"]["annotations"]["readOnlyHint"]
    assert not by_name["list_models"]["annotations"]["openWorldHint"]
    for free in ("check_task", "list_files", "list_models", "list_tasks", "check_balance"):
        assert by_name[free]["annotations"]["readOnlyHint"]


def test_the_tool_list_stays_small(default: list[dict[str, Any]], listed: list[dict[str, Any]]) -> None:
    assert tokens.size({"tools": default}) <= tokens.LIMITS["list.bytes"]
    assert tokens.size({"tools": tokens.without_output(default)}) <= tokens.LIMITS["list.without_output"]
    assert len(compact({"tools": listed})) <= 15_400


def test_every_tool_is_in_the_report_of_the_budget(listed: list[dict[str, Any]]) -> None:
    report = tokens.report()
    for tool in listed:
        assert f"{tool['name']} " in report
        assert f"{tokens.size(tool):,}" in report
    assert report.count("free") >= 2


def test_the_schemas_are_those_in_the_snapshots(listed: list[dict[str, Any]]) -> None:
    for tool in listed:
        assert tool == read_snapshot(tool["name"]), f"{tool['name']} changed: look at it, then `make generated`"


def test_the_instructions_fit_where_hosts_cut_them() -> None:
    assert told().startswith(INSTRUCTIONS["generate_image"].partition("{")[0])
    assert "{" not in told(*TOOLSETS)
    assert "spend" in told()[:250]
    assert len(told()) <= 1_880
    assert len(told(*TOOLSETS)) <= 2_048
    many = [Path(f"/home/somebody/a-folder-of-pictures-{number}") for number in range(40)]
    settings = Settings(toolsets=TOOLSETS, image_model="m" * 300)
    assert len(offers.instructions(offered_names(settings), settings, many)) <= 2_048
    assert "generate_image" not in told("account")


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    "toolsets", [("media",), ("text",), ("account",), ("text", "account"), ("media", "account"), TOOLSETS]
)
def test_the_instructions_name_only_tools_that_are_offered(toolsets: tuple[Toolset, ...], read_only: bool) -> None:
    offered = set(offered_names(Settings(toolsets=toolsets, read_only=read_only)))
    text = told(*toolsets, read_only=read_only)
    assert {name for name in (*PARAMETERS, *MORE_PARAMETERS) if name in text} <= offered
    assert ("read-only" in text) is read_only


def test_the_instructions_name_the_defaults_good_choices_and_what_cannot_be_done() -> None:
    registry, text = App(Settings()).registry, told()
    for kind in ("image", "video"):
        assert registry.defaults[kind] in text
    for choices in (words()["choices"]["image"], words()["choices"]["video"]):
        for what, name in choices.items():
            assert f"{name} ({what})" in text
            assert registry.models[name].status == "active"
            assert not registry.models[name].superseded_by
    for once in ("cannot be cancelled", "No music or speech here", "in options too"):
        assert text.count(once) == 1
    assert words()["choices"]["audio"]["speech"] in told("audio")
    assert "No music" not in told("media", "audio")


def test_the_instructions_say_what_supersedes_a_default_and_what_changes_it() -> None:
    settings = Settings(image_model="gpt-image-2.5-flare")
    text = offers.instructions(offered_names(settings), settings)
    assert "gpt-image-2.5-flare for images, " in text
    assert "superseded by seedance-2.5-text-to-video; EVOLINK_VIDEO_MODEL changes it" in text


def test_the_instructions_name_the_folders_of_local_files() -> None:
    settings = Settings()
    text = offers.instructions(offered_names(settings), settings, [Path("/home/anna/pictures")])
    assert "local files in /home/anna/pictures, by relative paths too" in text
    assert "local files" not in offers.instructions(offered_names(settings), settings, None)


def told(*toolsets: Toolset, read_only: bool = False) -> str:
    settings = Settings(toolsets=toolsets or ("media",), read_only=read_only)
    return offers.instructions(offered_names(settings), settings)


def offered_names(settings: Settings) -> list[str]:
    return [tool.name for tool in offered_tools(App(settings))]


def test_every_tool_has_its_own_arguments() -> None:
    names = offered_names(Settings(toolsets=TOOLSETS))
    assert len(set(names)) == len(names)


class Inner(BaseModel):
    """A part."""

    title: str
    choice: Literal["a", "b"] | None = None


class Outer(BaseModel):
    """A whole."""

    inner: Inner
    many: list[Inner] | None = None
    free: dict[str, Any] | None = None
    count: Annotated[int, Field(ge=1, description="How many.")] = 3


def test_references_are_inlined_and_optional_means_not_required() -> None:
    schema = portable(Outer, closed=True)
    part = {
        "type": "object",
        "properties": {"title": {"type": "string"}, "choice": {"enum": ["a", "b"], "type": "string"}},
    }
    assert schema == {
        "type": "object",
        "properties": {
            "inner": part,
            "many": {"type": "array", "items": part},
            "free": {"type": "object", "additionalProperties": True},
            "count": {"type": "integer", "minimum": 1, "default": 3, "description": "How many."},
        },
        "required": ["inner"],
        "additionalProperties": False,
    }
