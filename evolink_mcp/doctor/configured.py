"""Which clients of this machine have our entry, and what it says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any, cast

from evolink_mcp.doctor.report import Check
from evolink_mcp.errors import Refused
from evolink_mcp.install import merge, write
from evolink_mcp.install.clients import BY_ID, CLIENTS, Client, config_file
from evolink_mcp.settings.table import API_KEY


def configured() -> Iterator[Check]:
    """Every client whose file is there."""
    found = False
    for client in CLIENTS:
        path = config_file(client)
        if not path.exists():
            continue
        found = True
        name = f"client {client.id}"
        try:
            entry = merge.read_entry(client, write.read_text(path))
        except ValueError as error:
            yield Check(name, "note", f"{path} cannot be read: {error}", f"Correct the file; {client.title} needs it.")
            continue
        except Refused as error:
            yield Check(name, "note", error.what, f"Correct the file; {client.title} needs it.")
            continue
        if entry is None:
            yield Check(name, "ok", f"no entry in {path}; evolink-mcp install {client.id} --write makes one")
        else:
            yield _entry(client, name, entry)
    if not found:
        yield Check("clients", "ok", f"none found; evolink-mcp install CLIENT knows {', '.join(BY_ID)}")


def _entry(client: Client, name: str, entry: dict[str, Any]) -> Check:
    again = f"Run evolink-mcp install {client.id} --write."
    if "command" not in entry:
        return Check(name, "ok", "has a remote entry")
    command = entry["command"]
    if not isinstance(command, str) or not (shutil.which(command) or os.access(command, os.X_OK)):
        return Check(name, "wrong", f"its entry's command does not exist: {str(command)[:200]}", again)
    env = _strings(entry.get("env"))
    key = "with a key" if API_KEY in env else "without a key"
    return Check(name, "ok", f"has an entry {key}: {command}")


def settings_of(name: str) -> dict[str, str]:
    """The variables that a client's entry gives the server.

    Raises:
        Refused: It has no entry that can be read.
    """
    client = BY_ID[name]
    path = config_file(client)
    try:
        entry = merge.read_entry(client, write.read_text(path))
    except ValueError as error:
        raise Refused(f"{path} cannot be read: {error}.", next_step=f"Correct it; {client.title} needs it.") from None
    if entry is None:
        raise Refused(f"{path} has no entry evolink.", next_step=f"Run evolink-mcp install {name} --write.")
    return _strings(entry.get("env"))


def _strings(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in cast("dict[str, object]", value).items() if isinstance(text, str)}
