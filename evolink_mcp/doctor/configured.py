"""Checks of the clients on this machine: which have our entry, what it holds, and which places were looked at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any, cast

from evolink_mcp.doctor.report import Check
from evolink_mcp.errors import Refused
from evolink_mcp.install.clients import BY_ID, CLIENTS, Client
from evolink_mcp.install.places import places, project_file
from evolink_mcp.install.survey import ClientFile, client_files
from evolink_mcp.settings.placeholders import unfilled
from evolink_mcp.settings.table import API_KEY


def configured() -> Iterator[Check]:
    """One check for each file of a client, and one for each client that has none."""
    for client in CLIENTS:
        name = f"client {client.id}"
        files = list(client_files(client))
        for file in files:
            if file.problem:
                yield Check(name, "note", file.problem, f"Correct the file; {client.title} needs it.")
            elif file.entry is None:
                command = f"evolink-mcp install {client.id} --write"
                yield Check(name, "ok", f"no entry in {file.path}; {command} makes one")
            else:
                yield _entry(client, name, file, file.entry)
        if not files:
            yield Check(name, "ok", f"not here: looked for {', '.join(_candidates(client)) or 'no place is known'}")


def _candidates(client: Client) -> list[str]:
    project = [client.project_file] if client.project_file and project_file(client) is None else []
    return [*map(str, places(client)), *project]


def _entry(client: Client, name: str, file: ClientFile, entry: dict[str, Any]) -> Check:
    key = _strings(entry.get("env")).get(API_KEY) or _strings(entry.get("headers")).get("Authorization", "")
    kind, command = ("an entry", entry["command"]) if "command" in entry else ("a remote entry", None)
    text = f"has {kind} with{'' if key else 'out'} a key in {file.path}"
    if command is not None:
        if not isinstance(command, str) or not _is_command(command):
            again = f"Run evolink-mcp install {client.id} --write."
            return Check(
                name, "wrong", f"its entry's command does not exist: {str(command)[:200]} ({file.path})", again
            )
        text += f": {command}"
    if key and not unfilled(key) and file.open_to_others:
        return Check(name, "note", f"{text}. Other users of this machine may read it.", f"Run chmod 600 {file.path}.")
    return Check(name, "ok", text)


def _is_command(command: str) -> bool:
    try:
        return shutil.which(command) is not None or os.access(command, os.X_OK)
    except ValueError:  # it holds what no path does
        return False


def settings_of(name: str) -> dict[str, str]:
    """The variables that a client's entry gives the server.

    Raises:
        Refused: It has no entry that can be read.
    """
    client = BY_ID[name]
    files = list(client_files(client))
    for file in files:
        if file.entry is not None:
            return _strings(file.entry.get("env"))
    for file in files:
        if file.problem:
            raise Refused(f"{file.problem}.", next_step=f"Correct it; {client.title} needs it.")
    listed = ", ".join(str(file.path) for file in files) or ", ".join(_candidates(client))
    raise Refused(
        f"{client.title} has no entry evolink in {listed}.", next_step=f"Run evolink-mcp install {name} --write."
    )


def _strings(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in cast("dict[str, object]", value).items() if isinstance(text, str)}
