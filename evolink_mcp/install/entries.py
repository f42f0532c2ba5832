"""Our entry in a client's file, and the snippet that holds it alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evolink_mcp.install.clients import INPUT_ID, Client
from evolink_mcp.install.launch import Launch
from evolink_mcp.settings.table import API_KEY

NAME = "evolink"
YOUR_KEY = "your key"
# How VS Code asks for the key: once, hidden, into its own secret storage.
KEY_INPUT = {"id": INPUT_ID, "type": "promptString", "description": "EvoLink API key", "password": True}


@dataclass(frozen=True)
class Remote:
    """A server reached over HTTP. ``authorization`` is the header's value; "" leaves the header out."""

    url: str
    authorization: str = ""


@dataclass(frozen=True)
class Content:
    """What a file is to hold: the entry, under the key ``container``.

    ``additions`` are items of other lists in the file: VS Code's ``inputs`` say how it asks for the key.
    """

    container: str
    entry: dict[str, Any]
    additions: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def whole(self) -> dict[str, Any]:
        """A file that holds nothing else."""
        lists = {name: [item] for name, item in self.additions.items()}
        return {**lists, self.container: {NAME: self.entry}}


def local(client: Client, launch: Launch, env: Mapping[str, str], *, forward_key: bool = False) -> Content:
    """The entry of a server that the client starts.

    Args:
        forward_key: The key is taken from the environment that Codex, which has
            no reference for it, starts in.
    """
    entry: dict[str, Any] = {**client.fixed, "command": launch.command, "args": list(launch.args)}
    if env:
        entry["env"] = dict(env)
    if forward_key:
        entry["env_vars"] = [API_KEY]
    return Content(client.container, entry, _additions(client, str(entry)))


def remote(client: Client, server: Remote) -> Content:
    """The entry of a server that runs elsewhere."""
    entry: dict[str, Any] = {**client.remote_fixed, client.remote_url: server.url}
    if client.format == "toml":
        # Codex takes a bearer token from its environment, so the file holds none.
        entry["bearer_token_env_var"] = API_KEY
    elif server.authorization:
        entry["headers"] = {"Authorization": server.authorization}
    return Content(client.container, entry, _additions(client, str(entry)))


def _additions(client: Client, entry: str) -> dict[str, dict[str, Any]]:
    return {"inputs": dict(KEY_INPUT)} if client.asks_for_key and client.key_reference in entry else {}


def as_text(client: Client, content: Content) -> str:
    """A whole file with this one server, in the client's format."""
    if client.format == "toml":
        from evolink_mcp.install.tomltext import set_table

        return set_table("", (content.container, NAME), content.entry)
    return json.dumps(content.whole(), indent=2, ensure_ascii=False) + "\n"
