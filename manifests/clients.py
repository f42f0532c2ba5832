"""Files and links that set a client up, made by the code of `evolink-mcp install`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import quote, urlencode

from evolink_mcp.install import entries
from evolink_mcp.install.clients import BY_ID, CLIENTS, Client
from evolink_mcp.install.entries import KEY_INPUT, NAME, YOUR_KEY, Content
from evolink_mcp.install.launch import PUBLISHED
from evolink_mcp.settings.table import API_KEY
from manifests.facts import EXAMPLE_HOST


def content(client: Client) -> Content:
    """The entry for the published package. No key stands in it where the client can take it from elsewhere."""
    if client.format == "toml":
        return entries.local(client, PUBLISHED, {}, forward_key=True)
    return entries.local(client, PUBLISHED, {API_KEY: client.key_reference or YOUR_KEY})


def files() -> Iterator[tuple[str, str]]:
    """(path below manifests/, text) of every client's file, and of the entries for a server that runs elsewhere."""
    for client in CLIENTS:
        name = PurePosixPath(client.project_file or client.files[""][0]).name
        yield f"{client.id}/{name}", entries.as_text(client, content(client))
    for kind, transport, path in (("streamable-http", "http", "mcp"), ("sse", "sse", "sse")):
        entry = {
            "type": transport,
            "url": f"https://{EXAMPLE_HOST}/{path}",
            "headers": {"Authorization": f"Bearer {YOUR_KEY}"},
        }
        yield f"remote/{kind}.json", json.dumps({"mcpServers": {NAME: entry}}, indent=2) + "\n"


def cursor_link() -> str:
    """Opens Cursor, which asks before it adds the server."""
    entry = json.dumps(content(BY_ID["cursor"]).entry, separators=(",", ":"))
    query = urlencode({"name": NAME, "config": base64.b64encode(entry.encode()).decode()})
    return f"https://cursor.com/en/install-mcp?{query}"


def vscode_link() -> str:
    """Opens VS Code, which asks for the key and before it adds the server."""
    entry = json.dumps(content(BY_ID["vscode"]).entry, separators=(",", ":"))
    inputs = json.dumps([KEY_INPUT], separators=(",", ":"))
    query = urlencode({"name": NAME, "inputs": inputs, "config": entry}, quote_via=quote)
    return f"https://vscode.dev/redirect/mcp/install?{query}"
