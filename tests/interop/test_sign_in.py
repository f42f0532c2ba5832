"""Sign-in with a real identity provider: from 401 through registration, log-in and consent to a paid call."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from evolink_mcp.settings import Settings
from evolink_mcp.transports.http.options import HttpOptions
from tests.interop import software
from tests.interop.documents import published_client
from tests.interop.signing_in import (
    REDIRECT,
    RESOURCE_SERVER,
    Storage,
    beside,
    browse,
    running_provider,
    running_server,
    signing_in,
)
from tests.programs import free_port
from tests.provider import MovedClock
from tests.serving import bearer, serving
from tests.support import KEY, Sandbox, ok

pytestmark = pytest.mark.xdist_group("sign-in")


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with running_provider() as url:
        yield url


@pytest.fixture(scope="module")
def server(running_sandbox: Sandbox, issuer: str) -> Iterator[str]:
    with running_server(running_sandbox, issuer) as url:
        yield url


@asynccontextmanager
async def connected(url: str, person: str, storage: Storage) -> AsyncGenerator[Client]:
    auth = signing_in(f"{url}/mcp", person, storage)
    async with httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False) as http:
        async with Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
            yield client


async def status(url: str, token: str) -> int:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return (await http.get(f"{url}/mcp", headers=bearer(token))).status_code


async def token_of(url: str, person: str = "alice") -> str:
    """The token that somebody signs in for."""
    storage = Storage()
    async with connected(url, person, storage) as client:
        await client.list_tools()
    return storage.received[-1]


async def test_the_python_client_signs_in_and_pays_once(server: str, sandbox: Sandbox) -> None:
    storage = Storage()
    async with connected(server, "alice", storage) as client:
        made = await ok(client, "generate_image", prompt="a red kite")
    assert made["task_id"]
    assert sandbox.paid() == 1
    assert storage.tokens is not None
    assert storage.tokens.refresh_token


async def test_the_typescript_client_signs_in_and_pays_once(server: str, sandbox: Sandbox) -> None:
    seen = await typescript(server)
    assert seen["made"]["task_id"]
    assert seen["refreshable"]
    assert sandbox.paid() == 1


async def typescript(server: str, *document: str) -> dict[str, Any]:
    """What the TypeScript client says after it has signed in and made a picture."""
    script = beside(software.package("@modelcontextprotocol/client"), "sign_in.mjs")
    command = [str(software.node()), str(script), f"{server}/mcp", REDIRECT, *document]
    async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        with anyio.fail_after(60):
            page = (await process.stdout.receive()).decode().splitlines()[0]
            await process.stdin.send(f"{await browse(page, 'alice')}\n".encode())
            return json.loads((await process.stdout.receive()).decode().splitlines()[-1])


async def test_clients_that_are_known_by_an_address_sign_in_without_being_registered(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    storage = Storage()
    with (
        published_client(tmp_path, REDIRECT) as document,
        running_provider(authority=document.authority) as issuer,
        running_server(sandbox, issuer) as url,
    ):
        auth = signing_in(f"{url}/mcp", "alice", storage, client_metadata_url=document.url)
        async with httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False) as http:
            async with Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
                await ok(client, "generate_image", prompt="a red kite")
        seen = await typescript(url, document.url)
    assert storage.client is not None
    assert storage.client.client_id == seen["client"] == document.url
    assert document.reads == ["/client.json"]
    assert storage.tokens is not None
    assert storage.tokens.refresh_token
    assert seen["refreshable"]
    assert sandbox.paid() == 2


async def test_one_sign_in_serves_sse_too(running_sandbox: Sandbox, issuer: str) -> None:
    with running_server(running_sandbox, issuer, EVOLINK_OAUTH_NAME="sub") as url:
        auth = signing_in(f"{url}/sse", "alice", Storage())
        async with Client(sse_client(f"{url}/sse", auth=auth), mode="legacy") as client:
            assert (await client.list_tools()).tools
        async with httpx2.AsyncClient(trust_env=False) as http:
            metrics = (await http.get(f"{url}/metrics")).text
    assert "alice" not in metrics, "nobody called a tool"


async def test_a_person_sees_nothing_of_another(server: str, sandbox: Sandbox) -> None:
    async with connected(server, "alice", Storage()) as alice, connected(server, "bob", Storage()) as bob:
        made = await ok(alice, "generate_image", prompt="a red kite")
        again = await ok(bob, "generate_image", prompt="a red kite")
        assert again["task_id"] != made["task_id"]
    assert sandbox.paid() == 2


async def test_tokens_that_end_are_refreshed_without_anybody_at_the_browser(sandbox: Sandbox) -> None:
    storage = Storage()
    with running_provider(seconds=1) as issuer, running_server(sandbox, issuer) as url:
        async with connected(url, "alice", storage) as client:
            for _ in range(3):
                await anyio.sleep(1.1)
                await client.list_tools()
    assert len(set(storage.received)) >= 3


@asynccontextmanager
async def trusting(issuer: str, audience: str, clock: MovedClock | None = None, **more: Any) -> AsyncGenerator[str]:
    """Another server, in this process, that takes tokens of ``issuer`` for ``audience``."""
    settings = Settings(api_key=KEY, oauth_issuer=issuer, oauth_audiences=(audience,), **more)
    options = HttpOptions(auth="oauth", public_url="https://else.example.com")
    async with serving(settings, options, clock) as served:
        yield served.url
        assert served.application.resource is not None
        await served.application.resource.provider.aclose()


async def test_a_token_for_another_server_or_of_another_provider_is_refused(server: str, issuer: str) -> None:
    token, audience = await token_of(server), f"{server}/mcp"
    async with trusting(issuer, audience) as same, trusting(issuer, "https://else.example.com/mcp") as other:
        assert await status(same, token) == 405
        assert await status(other, token) == 401
    with running_provider() as stranger:
        async with trusting(stranger, audience) as third:
            assert await status(third, token) == 401


async def test_opaque_tokens_are_asked_about_and_revoked_ones_end(sandbox: Sandbox) -> None:
    with (
        running_provider(form="opaque") as issuer,
        running_server(sandbox, issuer, EVOLINK_OAUTH_CLIENT=":".join(RESOURCE_SERVER)) as url,
    ):
        token, revoked = await token_of(url), await token_of(url, "bob")
        assert "." not in token
        assert await status(url, token) == 405
        assert await status(url, token[:-2]) == 401
        async with httpx2.AsyncClient(trust_env=False, auth=RESOURCE_SERVER) as http:
            await http.post(f"{issuer}/token/revocation", data={"token": revoked})
        async with trusting(issuer, f"{url}/mcp", oauth_client=RESOURCE_SERVER) as fresh:
            assert await status(fresh, token) == 405
            assert await status(fresh, revoked) == 401


async def test_a_provider_that_is_away_or_has_new_keys_is_told_from_a_wrong_token(sandbox: Sandbox) -> None:
    port, clock = free_port(), MovedClock()
    with running_provider(port=port) as issuer, running_server(sandbox, issuer) as url:
        old = await token_of(url)
    async with trusting(issuer, f"{url}/mcp", clock) as again:
        assert await status(again, old) == 503
        with running_provider(port=port):  # the same issuer, with a new key
            clock.pass_cooldown()
            assert await status(again, old) == 401
