"""Where a client keeps its file on this machine: every possible place, those in use, and the one to write to.

A place is written with ``/``. ``~`` is the home folder, ``{NAME}`` the folder that a variable names, and ``*`` stands
for any characters.
"""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evolink_mcp.errors import Refused
from evolink_mcp.install.clients import Client
from evolink_mcp.settings.places import home_folder, working_directory

DEFAULTS: Mapping[str, str] = {
    "XDG_CONFIG_HOME": "~/.config",
    "APPDATA": "~/AppData/Roaming",
    "LOCALAPPDATA": "~/AppData/Local",
}


@dataclass(frozen=True)
class Machine:
    """The facts that decide where files are. The tests put in other machines' facts."""

    platform: str = sys.platform
    home: Path | None = field(default_factory=home_folder)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: Path | None = field(default_factory=working_directory)


def places(client: Client, machine: Machine | None = None) -> list[Path]:
    """Every place where the user's file may be, the usual one first. A pattern without a match adds none."""
    on = machine or Machine()
    patterns = client.patterns(on.platform)
    if client.moved_by and on.environ.get(client.moved_by):
        return [Path(on.environ[client.moved_by], patterns[0].rsplit("/", 1)[-1])]
    expanded = (_expand(pattern, on) for pattern in patterns)
    return list(dict.fromkeys(path for paths in expanded for path in paths))


def project_file(client: Client, machine: Machine | None = None) -> Path | None:
    """The project's own file in the working directory, if it exists."""
    cwd = (machine or Machine()).cwd
    path = cwd / client.project_file if cwd is not None and client.project_file else None
    return path if path is not None and os.path.exists(path) else None


def in_use(client: Client, machine: Machine | None = None) -> list[Path]:
    """The places whose file or folder exists: the client ran there, or is set up for this project."""
    on = machine or Machine()
    own = [path for path in places(client, on) if os.path.lexists(path) or _is_own_folder(path.parent, on)]
    project = project_file(client, on)
    return list(dict.fromkeys([*own, *([project] if project else [])]))


def choose(client: Client, having_entry: Sequence[Path], machine: Machine | None = None) -> Path:
    """The file to write to: the only one with our entry, else the only one in use, else the usual one.

    Raises:
        Refused: Several are in use, or none is known.
    """
    candidates = in_use(client, machine)
    if len(having_entry) == 1:
        return having_entry[0]
    if len(candidates) > 1:
        listed = "\n".join(f"- {path}" for path in candidates)
        raise Refused(
            f"{client.title} has several configurations here:\n{listed}",
            code="several_files",
            next_step="Choose one of them with --file.",
        )
    if not candidates:
        candidates = places(client, machine)[:1]
    if not candidates:
        raise Refused(
            f"It is not known where {client.title} keeps its configuration: this user has no home folder.",
            code="no_home",
            next_step="Set HOME, or name the file with --file.",
        )
    return candidates[0]


def _is_own_folder(folder: Path, machine: Machine) -> bool:
    return folder != machine.home and os.path.isdir(folder)


def _expand(pattern: str, machine: Machine) -> list[Path]:
    """The paths that a pattern stands for. With a ``*`` in it, the folder must exist; the file need not."""
    first, _, rest = pattern.partition("/")
    if first.startswith("{"):
        name = first.strip("{}")
        value = machine.environ.get(name, "")
        if os.path.isabs(value):  # the specification of XDG: others are ignored
            first = value
        else:
            first, _, folder = DEFAULTS.get(name, "").partition("/")
            rest = f"{folder}/{rest}"
    if first == "~" and machine.home is not None:
        first = str(machine.home)
    if not os.path.isabs(first):
        return []
    if "*" not in rest:
        return [Path(first, *rest.split("/"))]
    folder, _, file = rest.rpartition("/")
    return [Path(first, match, file) for match in sorted(glob.glob(folder, root_dir=first))]
