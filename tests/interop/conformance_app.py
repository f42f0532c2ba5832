"""The real HTTP application with the conformance suite's fixtures beside our tools. For tests only.

The suite calls tools, prompts and resources by names of its own, to look at how
a server carries content, errors, progress and questions. They are added where
ours come from, so that its calls go through our middleware and transports.
"""

from __future__ import annotations

import base64
import json
import warnings
from functools import partial
from typing import Any
from unittest.mock import patch

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)

from evolink_mcp import server
from evolink_mcp.errors import EvolinkError
from evolink_mcp.jobs.clock import Clock
from evolink_mcp.settings import Settings
from evolink_mcp.tools import prompts, toolsets
from evolink_mcp.tools.app import App
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.views import View
from evolink_mcp.transports.http import application
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import HttpOptions
from tests.interop import conformance_questions as questions
from tests.support import png

# A WAV file of no length.
SILENCE = base64.b64decode("UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=")


class Said(View):
    """A text, as our own tools answer."""

    text: str

    def as_text(self) -> str:
        return self.text


fixture = partial(tool, "media", read_only=True, idempotent=True, open_world=False)


@fixture(title="test_simple_text", description="Answers with a text.")
async def test_simple_text(call: Call) -> Said:
    return Said(text="This is a simple text response for testing.")


@fixture(title="test_error_handling", description="Fails as our own tools fail.")
async def test_error_handling(call: Call) -> Said:
    raise EvolinkError("This tool intentionally returns an error for testing.", code="wanted", next_step="Go on.")


async def test_image_content() -> ImageContent:
    """Answers with a picture."""
    return _picture()


async def test_audio_content() -> AudioContent:
    """Answers with a sound."""
    return AudioContent(type="audio", data=base64.b64encode(SILENCE).decode(), mime_type="audio/wav")


async def test_embedded_resource() -> EmbeddedResource:
    """Answers with a resource."""
    return _embedded("test://embedded-resource", "This is an embedded resource content.")


async def test_multiple_content_types() -> CallToolResult:
    """Answers with a text, a picture and a resource."""
    data = _embedded("test://mixed-content-resource", '{"test": "data", "value": 123}', "application/json")
    return CallToolResult(content=[TextContent(type="text", text="Multiple content types test:"), _picture(), data])


async def test_tool_with_progress(context: Context[Any, Any]) -> str:
    """Reports progress three times."""
    for done in (0, 50, 100):
        await context.report_progress(done, 100)
        await anyio.sleep(0.05)
    return "done"


async def test_logging_tool(context: Context[Any, Any]) -> str:
    """Logs, which nobody is to hear who did not ask for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await context.info("here")  # pyright: ignore[reportDeprecated]
    return "logged"


async def test_missing_capability(context: Context[Any, Any]) -> str:
    """Needs a caller that can sample."""
    declared = context.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This tool needs a caller that can sample.",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return "there"


async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


async def test_simple_prompt() -> str:
    """A prompt without arguments."""
    return "This is a simple prompt for testing."


async def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    """A prompt that brings a resource."""
    embedded = _embedded(resourceUri, "Embedded resource content for testing.")
    return [UserMessage(embedded), UserMessage("Please process the embedded resource above.")]


async def test_prompt_with_image() -> list[UserMessage]:
    """A prompt that brings a picture."""
    return [UserMessage(_picture()), UserMessage("Please analyze the image above.")]


OURS = (test_simple_text, test_error_handling)
TOOLS = (
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_tool_with_progress,
    test_logging_tool,
    test_missing_capability,
    *questions.TOOLS,
)
PROMPTS = (
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    *questions.PROMPTS,
)


def conformance_application(settings: Settings, options: HttpOptions, clock: Clock | None = None) -> HttpApplication:
    """The application that `evolink-mcp http` serves, with the fixtures."""
    with patch.object(application, "create_server", _server):
        return HttpApplication(settings, options, clock)


def _server(app: App) -> MCPServer:
    offer, listed = toolsets.build_offer(app), prompts.list_prompts()
    hints = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    tools = [
        *(each.build(app) for each in OURS),
        *(Tool.from_function(each, annotations=hints, structured_output=False) for each in TOOLS),
    ]
    listed += [Prompt.from_function(each) for each in PROMPTS]
    widened = {**offer, "media": [*offer["media"], *tools]}
    with (
        patch.object(toolsets, "build_offer", return_value=widened),
        patch.object(prompts, "list_prompts", return_value=listed),
    ):
        made = server.create_server(app)
    _add_resources(made)
    return made


def _add_resources(made: MCPServer) -> None:
    @made.resource("test://static-text", mime_type="text/plain")
    def text() -> str:
        return "This is the content of the static text resource."

    @made.resource("test://static-binary", mime_type="image/png")
    def binary() -> bytes:
        return png()

    @made.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    _ = text, binary, template


def _picture() -> ImageContent:
    return ImageContent(type="image", data=base64.b64encode(png()).decode(), mime_type="image/png")


def _embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))
