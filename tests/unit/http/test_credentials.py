"""A caller without a usable credential is told in words which one is wanted, and how it is sent."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evolink_mcp.errors import SettingsError
from evolink_mcp.settings import Settings, Token
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.options import Auth, HttpOptions
from tests.serving import bearer
from tests.unit.http.asking import KEY, OFFLINE, client_of, reason

TOKEN = "a-token-of-${percent}-signs"


def token_settings(token: str) -> Settings:
    return Settings(
        api_key=KEY, base_url="http://127.0.0.1:9", mcp_tokens=(Token(hashlib.sha256(token.encode()).hexdigest()),)
    )


@pytest.mark.parametrize(
    "placeholder",
    [
        "${EVOLINK_API_KEY}",
        "$EVOLINK_API_KEY",
        "sk-${input:evolink}",
        "{{evolink_key}}",
        "%EVOLINK_API_KEY%",
        "<your EvoLink key>",
        "YOUR_KEY",
        "your-api-key",
        "undefined",
        "null",
        "sk-xxxxxxxx",
        "${{ secrets.EVOLINK_API_KEY }}",
        "@EVOLINK_API_KEY@",
        "op://vault/item/key",
        '"${EVOLINK_API_KEY}"',
    ],
)
async def test_a_key_that_was_not_filled_in_is_answered_401_in_words(
    http: httpx2.AsyncClient, placeholder: str
) -> None:
    for headers in (bearer(placeholder), {"x-evolink-key": placeholder}):
        response = await http.post("/mcp", headers=headers)
        assert response.status_code == 401
        assert reason(response) == "unauthorized"
        assert "a placeholder that your client did not fill in" in response.text
        assert "Authorization: Bearer <your EvoLink key>" in response.text


async def test_a_token_that_was_not_filled_in_is_told_and_a_valid_one_is_none() -> None:
    async with client_of(HttpApplication(token_settings(TOKEN), HttpOptions(auth="token"))) as http:
        response = await http.post("/mcp", headers=bearer("${EVOLINK_TOKEN}"))
        assert response.status_code == 401
        assert "The token is a placeholder" in response.text
        assert (await http.get("/mcp", headers=bearer(TOKEN))).status_code == 405


@pytest.mark.parametrize("path", ["/register", "/authorize", "/token"])
@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ("passthrough", "Authorization: Bearer <your EvoLink key>"),
        ("token", "Bearer <token>"),
        ("none", "no credential"),
    ],
)
async def test_a_client_that_wants_to_sign_in_is_told_that_there_is_no_oauth(path: str, auth: Auth, said: str) -> None:
    async with client_of(HttpApplication(token_settings(TOKEN), HttpOptions(auth=auth))) as http:
        response = await http.post(path, json={"client_name": "a client"})
    assert response.status_code == 404
    assert response.json()["error"] == "access_denied"
    assert response.json()["error_description"].startswith("There is no OAuth on this server.")
    assert said in response.json()["error_description"]


async def test_without_a_credential_the_header_is_named(http: httpx2.AsyncClient) -> None:
    for path in ("/mcp", "/messages/"):
        response = await http.post(path)
        assert response.status_code == 401
        assert "There is no OAuth here." in response.text
        assert "--header" in response.text


async def test_the_longest_key_is_taken() -> None:
    async with client_of(HttpApplication(OFFLINE, HttpOptions())) as http:
        assert (await http.get("/mcp", headers=bearer("k" * 512))).status_code == 405
        assert (await http.get("/mcp", headers=bearer("k" * 513))).status_code == 401


async def test_without_auth_and_without_a_key_the_server_answers() -> None:
    async with client_of(HttpApplication(OFFLINE, HttpOptions(auth="none"))) as http:
        assert (await http.get("/mcp")).status_code == 405


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("a-long-random-text",), "a token of the documentation"),
        (("another-long-text",), "a token of the documentation"),
        (("a-token-of-two-callers", "a-token-of-two-callers"), "one token to two callers"),
    ],
)
def test_tokens_that_protect_nothing_are_told_at_the_start(tokens: tuple[str, ...], said: str) -> None:
    held = tuple(
        Token(hashlib.sha256(token.encode()).hexdigest(), f"caller-{number}") for number, token in enumerate(tokens)
    )
    with pytest.raises(SettingsError, match=said):
        HttpApplication(Settings(api_key=KEY, mcp_tokens=held), HttpOptions(auth="token"))


@pytest.mark.parametrize("token", ["a-long-random-text", "another-long-text"])
def test_the_documentation_shows_the_tokens_that_are_refused(token: str) -> None:
    assert token in (Path(__file__).parents[3] / "docs" / "remote.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "https://gateway.example.com"}, "EVOLINK_FILES_URL and EVOLINK_TEXT_URL"),
        ({"keys_file": Path("keys.toml")}, "EVOLINK_KEYS_FILE has no effect"),
        ({"oauth_issuer": "https://id.example.com"}, "EVOLINK_OAUTH_ISSUER has no effect"),
    ],
)
def test_what_is_hardly_meant_is_told_at_the_start(settings: dict[str, Any], said: str) -> None:
    (doubt,) = HttpOptions().doubts(Settings(**settings))
    assert said in doubt
    assert not HttpOptions().doubts(Settings())
