"""What signing in needs: the provider's program, a server that trusts it, and somebody at a browser."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import anyio
import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl

from tests.e2e.raw import environment
from tests.interop import software
from tests.programs import end, free_port, wait_for_port
from tests.support import KEY, Sandbox

CLIENTS = Path(__file__).parent / "clients"
RESOURCE_SERVER = ("resource-server", "its-secret")
REDIRECT = "http://127.0.0.1:9/callback"  # nobody listens: the browser reads the address it is sent to
MAX_PAGES = 12


@contextmanager
def running_provider(
    *, seconds: int = 300, form: str = "jwt", port: int = 0, authority: Path | None = None, documents: bool = True
) -> Generator[str]:
    """The issuer of a provider whose access tokens live so long: JSON Web Tokens (``jwt``) or ``opaque`` ones.

    ``authority``: whose certificates it believes beside those of this machine. ``documents``: it reads the metadata
    documents of clients; those that register themselves else stand on the network.
    """
    port = port or free_port()
    options = {"port": port, "seconds": seconds, "format": form, "client": RESOURCE_SERVER, "documents": documents}
    script = beside(software.package("oidc-provider"), "provider.mjs")
    command = [str(software.node()), str(script), json.dumps(options)]
    env = {**os.environ, **({"NODE_EXTRA_CA_CERTS": str(authority)} if authority else {})}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process)


@contextmanager
def running_server(sandbox: Sandbox, issuer: str, **more: str) -> Generator[str]:
    """The public address of the real program, which has people sign in with ``issuer``."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {
        "EVOLINK_BASE_URL": sandbox.url,
        "EVOLINK_FILES_URL": sandbox.url,
        "EVOLINK_API_KEY": KEY,
        "EVOLINK_OAUTH_ISSUER": issuer,
        "EVOLINK_OAUTH_SCOPES": "media",
        **more,
    }
    command = [sys.executable, "-m", "evolink_mcp", "http", "--port", str(port), "--auth", "oauth"]
    with subprocess.Popen(
        [*command, "--public-url", url], env=environment(env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for_port(port, process)
            yield url
        finally:
            end(process)


def beside(folder: Path, script: str) -> Path:
    """A copy of a script of ours where Node finds the library: beside its ``node_modules``."""
    return Path(shutil.copy(CLIENTS / script, folder / script))


async def browse(address: str, person: str) -> str:
    """What somebody does at the provider's pages: logs in, agrees; the address the browser is sent back to."""
    redirect = parse_qs(urlsplit(address).query)["redirect_uri"][0]
    async with httpx2.AsyncClient(trust_env=False, timeout=20) as http:
        response = await http.get(address)
        for _ in range(MAX_PAGES):
            if response.is_redirect:
                address = urljoin(str(response.url), response.headers["location"])
                if address.startswith(redirect):
                    return address
                response = await http.get(address)
                continue
            page = response.text
            action = re.search(r'<form[^>]*action="([^"]+)"', page)
            assert action is not None, page[:2000]
            fields = {"prompt": "login", "login": person, "password": "x"} if 'value="login"' in page else {}
            target = urljoin(str(response.url), html.unescape(action[1]))
            response = await http.post(target, data=fields or {"prompt": "consent"})
    raise AssertionError("the log-in has no end")


@dataclass
class Storage:
    """What a client remembers of its sign-in."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None
    received: list[str] = field(default_factory=list[str])

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens
        self.received.append(tokens.access_token)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def signing_in(address: str, person: str, storage: Storage, **more: Any) -> OAuthClientProvider:
    """The SDK's client for sign-in, with ``person`` at the browser."""
    back: list[str] = []

    async def redirect(url: str) -> None:
        back.append(await browse(url, person))

    async def callback() -> AuthorizationCodeResult:
        with anyio.fail_after(60):
            values = parse_qs(urlsplit(back.pop()).query)
        return AuthorizationCodeResult(
            code=values["code"][0], state=values["state"][0], iss=values.get("iss", [None])[0]
        )

    metadata = OAuthClientMetadata(
        client_name="interop", redirect_uris=[AnyUrl(REDIRECT)], token_endpoint_auth_method="none"
    )
    return OAuthClientProvider(address, metadata, storage, redirect, callback, **more)
