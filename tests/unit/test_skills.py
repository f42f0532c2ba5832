"""The skill over the protocol: listed, read, and as the file it is made of."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    Request,
    Result,
    TextResourceContents,
)
from pydantic import ConfigDict

from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.skills import SCHEME, Skills, index
from evolink_mcp.tools.app import App
from manifests import skills as made

NAME = "evolink-media"
URI = f"{SCHEME}{NAME}/SKILL.md"


class Answer(Result):
    """What comes, as it comes."""

    model_config = ConfigDict(extra="allow")


class ListSkills(Request[PaginatedRequestParams, Literal["skills/list"]]):
    method: Literal["skills/list"] = "skills/list"


class GetSkill(Request[ReadResourceRequestParams, Literal["skills/get"]]):
    method: Literal["skills/get"] = "skills/get"


def get(uri: str) -> GetSkill:
    return GetSkill(params=ReadResourceRequestParams(uri=uri))


async def ask(client: Client, request: Request[Any, Any]) -> dict[str, Any]:
    return (await client.session.send_request(request, Answer)).model_extra or {}


async def test_a_listed_skill_is_read_as_its_digest_says(either: Client) -> None:
    (skill,) = (await ask(either, ListSkills(params=PaginatedRequestParams())))["skills"]
    assert skill["uri"] == URI
    assert skill["frontmatter"]["name"] == NAME
    for file in skill["resources"]:
        (content,) = (await either.read_resource(file["uri"])).contents
        assert isinstance(content, TextResourceContents)
        assert content.mime_type == "text/markdown"
        assert len(content.text.encode()) == file["size"]
        assert f"sha256:{hashlib.sha256(content.text.encode()).hexdigest()}" == file["digest"]
    assert (await ask(either, get(URI)))["skill"] == skill


async def test_another_skill_is_refused_with_those_there_are(client: Client) -> None:
    with pytest.raises(MCPError, match=URI) as raised:
        await ask(client, get("skill://other/SKILL.md"))
    assert raised.value.error.code == INVALID_PARAMS


@pytest.mark.parametrize(
    ("settings", "offers"),
    [(Settings(), True), (Settings(read_only=True), False), (Settings(toolsets=("text",)), False)],
)
def test_a_server_that_makes_nothing_teaches_nothing(settings: Settings, offers: bool) -> None:
    server = create_server(App(settings))._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    assert (Skills.identifier in server.extensions) is offers


def test_the_index_is_that_of_the_files() -> None:
    assert list(index().values()) == made.index(), "run `make manifests`"
