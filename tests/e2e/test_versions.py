"""A host of an older protocol version gets what that version knows, on every transport; the text says it all."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from evolink_mcp.sdk.eras import CONTENT_SINCE, FIELDS_SINCE, PROGRESS_MESSAGE_SINCE, fit_version
from tests.e2e.raw import LEGACY, raw_host
from tests.serving import ACCEPT, on, serving
from tests.support import Sandbox

NEWER = {"title": "2025-06-18", "outputSchema": "2025-06-18", "annotations": "2025-03-26"}


def assert_fits(version: str, tool: dict[str, Any], result: dict[str, Any]) -> None:
    for field, first in NEWER.items():
        assert (field in tool) is (version >= first), field
    assert ("structuredContent" in result) is (version >= "2025-06-18")
    kinds = [block["type"] for block in result["content"]]
    assert kinds == (["text", "resource_link"] if version >= "2025-06-18" else ["text"])
    assert "http" in result["content"][0]["text"]
    assert "Next: " in result["content"][0]["text"]


@pytest.mark.parametrize("version", LEGACY)
async def test_over_stdio(sandbox: Sandbox, version: str) -> None:
    env = {"EVOLINK_API_KEY": "sk-test-0123456789", "EVOLINK_BASE_URL": sandbox.url, "EVOLINK_RESULT_LINKS": "on"}
    async with raw_host(env=env) as host:
        told = await host.initialize(version)
        assert told["protocolVersion"] == version
        assert ("title" in told["serverInfo"]) is (version >= "2025-06-18")
        listed = (await host.request("tools/list"))["result"]["tools"]
        for method, part in (("prompts/list", "prompts"), ("resources/list", "resources")):
            each = (await host.request(method))["result"][part][0]
            assert ("title" in each) is (version >= "2025-06-18")
        assert_fits(version, listed[0], await host.call("generate_image", prompt="x", wait_seconds=20))
        call = {"name": "generate_image", "arguments": {"prompt": "y", "wait_seconds": 20}}
        await host.request("tools/call", **call, _meta={"progressToken": "p"})
        heard = [each["params"] for each in host.notifications if each["method"] == "notifications/progress"]
        assert heard
        assert all(("message" in each) is (version >= PROGRESS_MESSAGE_SINCE) for each in heard)


@pytest.mark.parametrize("version", LEGACY[1:])
async def test_over_http(sandbox: Sandbox, version: str) -> None:
    async with serving(on(sandbox, result_links=True)) as served, httpx2.AsyncClient() as http:

        async def ask(method: str, **params: Any) -> dict[str, Any]:
            headers = {**ACCEPT, "authorization": "Bearer sk-test-0123456789", "mcp-protocol-version": version}
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            answer = await http.post(f"{served.url}/mcp", json=request, headers=headers, timeout=30)
            (line,) = [line for line in answer.text.splitlines() if line.startswith("data: {")]
            return json.loads(line[6:])["result"]

        tool = (await ask("tools/list"))["tools"][0]
        call = await ask("tools/call", name="generate_image", arguments={"prompt": "x", "wait_seconds": 20})
        assert_fits(version, tool, call)


def test_what_is_newer_than_a_version_is_left_out_and_nothing_else() -> None:
    audio = {"type": "audio", "data": "", "mimeType": "audio/mpeg"}
    answer: dict[str, Any] = {"content": [{"type": "text", "text": "x"}, audio], "isError": False, "_meta": {"a": 1}}
    assert fit_version("tools/call", answer, "2025-03-26") == answer
    assert fit_version("tools/call", answer, "2024-11-05") == {**answer, "content": answer["content"][:1]}
    icons: dict[str, Any] = {"prompts": [{"name": "x", "icons": []}], "nextCursor": "y"}
    assert fit_version("prompts/list", icons, "2025-06-18") == {"prompts": [{"name": "x"}], "nextCursor": "y"}
    for method in FIELDS_SINCE:
        assert fit_version(method, {"odd": 1}, "2024-11-05") == {"odd": 1}
    assert max([*CONTENT_SINCE.values(), *(v for _, since in FIELDS_SINCE.values() for v in since.values())]) < "2026"
