"""What the gateway offers a key, beside what the registry knows: told, never used to refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evolink_mcp import cli
from evolink_mcp.errors import EvolinkError
from evolink_mcp.gateway import Caller
from evolink_mcp.gateway.account import model_ids
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from evolink_mcp.tools.models import live_models
from tests.support import Sandbox


async def test_both_differences_are_named(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.learn("future-model-1", "image")
    app = App(settings)
    text = await live_models(app)
    await app.aclose()
    assert "unknown to this server (EVOLINK_UNLISTED_MODELS=allow lets calls use them): future-model-1" in text
    assert "Known to this server, but not offered" not in text


ANSWERS: list[tuple[Any, set[str]]] = [
    ({"data": [{"id": "a"}, "b", {"id": 7}, None, {"name": "c"}, {"id": "x\ny"}]}, {"a", "b", "x y"}),
    ({"data": "soon"}, set()),
    ({"models": []}, set()),
    ([1], set()),
]


@pytest.mark.parametrize(("body", "expected"), ANSWERS)
async def test_whatever_looks_like_a_list_is_taken_for_one(
    caller: Caller, sandbox: Sandbox, body: Any, expected: set[str]
) -> None:
    sandbox.fault("models", "status", status=200, body=body)
    assert await model_ids(caller, seconds=5) == expected


@pytest.mark.parametrize("status", [200, 401, 404])
def test_a_key_that_the_gateway_sends_back_is_not_shown(
    status: int, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "a-key-of-another-make-0123456789"
    body = {"data": [{"id": f"model-{key}"}], "error": {"message": f"{key} is unknown", "code": key}}
    sandbox.fault("models", "status", status=status, body=body)
    monkeypatch.setenv("EVOLINK_BASE_URL", sandbox.url)
    monkeypatch.setenv("EVOLINK_API_KEY", key)
    with pytest.raises(SystemExit):
        cli.main(["models", "--live"])
    printed = capsys.readouterr()
    assert printed.out + printed.err
    assert key not in printed.out + printed.err


async def test_a_gateway_that_does_not_tell_is_said_so_and_a_missing_key_too(
    settings: Settings, sandbox: Sandbox
) -> None:
    sandbox.fault("models", "status", status=404)
    for changed, words in ((settings, "does not list its models"), (replace(settings, api_key=""), "No key is set")):
        app = App(changed)
        with pytest.raises(EvolinkError, match=words):
            await live_models(app)
        await app.aclose()
