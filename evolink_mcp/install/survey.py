"""Our entries in the clients' files on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolink_mcp.errors import Refused
from evolink_mcp.install import merge, write
from evolink_mcp.install.clients import Client
from evolink_mcp.install.places import in_use


@dataclass(frozen=True)
class ClientFile:
    """A client's file: the ``entry`` in it, if there is one, or the ``problem`` that keeps it from being read.

    ``open_to_others``: other users of this machine may read it.
    """

    path: Path
    entry: dict[str, Any] | None = None
    problem: str = ""
    open_to_others: bool = False


def client_files(client: Client) -> Iterator[ClientFile]:
    """Every file of a client that exists here, read."""
    for path in in_use(client):
        if not os.path.lexists(path):
            continue
        try:
            entry = merge.read_entry(client, write.read_text(path))
            yield ClientFile(path, entry, open_to_others=write.open_to_others(path))
        except ValueError as error:
            yield ClientFile(path, problem=f"{path} cannot be read: {error}")
        except Refused as error:
            yield ClientFile(path, problem=error.what)


def files_with_entry(client: Client) -> list[Path]:
    """The files of a client that have our entry."""
    return [file.path for file in client_files(client) if file.entry is not None]
