"""What `install` does for one client: the snippet to paste, or the file written, and what to say of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evolink_mcp.errors import KEYS_PAGE, Refused
from evolink_mcp.install import entries, merge, write
from evolink_mcp.install.clients import Client, config_file
from evolink_mcp.install.entries import YOUR_KEY, Remote, Wanted
from evolink_mcp.install.launch import Launch, running
from evolink_mcp.settings.table import API_KEY, VARIABLES


@dataclass(frozen=True)
class Request:
    """What the user asked for. ``launch`` and ``file`` replace what would be found here."""

    client: Client
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    sandbox: bool = False
    remote: str = ""
    file: Path | None = None
    launch: Launch | None = None

    @property
    def path(self) -> Path:
        return self.file or config_file(self.client)


def parse_env(given: Sequence[str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of ``--env NAME=VALUE`` and of ``--env NAME``, which takes this shell's value.

    Raises:
        Refused: A name that this server does not read, or one without a value.
    """
    known = {variable.name for variable in VARIABLES}
    found: dict[str, str] = {}
    for item in given:
        name, has_value, value = item.partition("=")
        if name not in known:
            raise _bad(f"--env: {name[:60]!r} is not read by evolink-mcp", f"Use one of {', '.join(sorted(known))}.")
        found[name] = value if has_value else environ.get(name, "")
        if not found[name]:
            raise _bad(f"--env {name} has no value, and {name} is not set here", f"Use --env {name}=VALUE.")
    return found


def snippet(request: Request) -> str:
    """The text of a file that holds this server alone, with a place for the key."""
    client = request.client
    env = dict(request.env)
    if API_KEY not in env and not request.sandbox:
        env[API_KEY] = client.key_reference if client.asks_for_key else YOUR_KEY
    return entries.as_text(client, _wanted(request, env))


def write_entry(request: Request) -> tuple[write.Change, tuple[str, ...]]:
    """Writes the entry into the client's file. Returns what became of it, and what the user should know.

    Raises:
        Refused: The file cannot be changed without a loss. It is as it was.
    """
    client = request.client
    notes: list[str] = []

    def change(text: str) -> str:
        env = dict(request.env)
        has_key = API_KEY in env or _has_key(client, text)
        if not has_key and not request.sandbox and client.asks_for_key:
            env[API_KEY] = client.key_reference
            notes.append(f"No key was written: {client.key_needs}.")
        elif not has_key and not request.sandbox:
            notes.append(_how_to_add_key(request))
        merged = merge.merge(client, text, _wanted(request, env))
        notes.extend(merged.notes)
        return merged.text

    return write.rewrite(request.path, change), tuple(notes)


def told(request: Request, change: write.Change, notes: Sequence[str]) -> list[str]:
    """What to say of a file that was written."""
    lines = [f"{change.path} {'has the entry evolink now' if change.changed else 'had it all already'}."]
    if change.backup:
        lines.append(f"What was there before is kept as {change.backup}.")
    launch = request.launch or running()
    if launch.note and not request.remote:
        lines.append(launch.note)
    return [*lines, *notes, f"Next: {request.client.after}"]


def _wanted(request: Request, env: Mapping[str, str]) -> Wanted:
    client = request.client
    if not request.remote:
        launch = request.launch or running()
        return entries.local(client, launch.with_args("--sandbox") if request.sandbox else launch, env)
    if not client.remote_url:
        raise _bad(
            f"The file of {client.title} takes no remote servers", "Add a custom connector in its settings instead."
        )
    if request.sandbox or set(request.env) - {API_KEY}:
        raise _bad("A remote server has its own settings", f"Use --remote with --env {API_KEY} alone.")
    if client.format == "toml" and request.env:
        raise _bad(
            f"{client.title} takes a remote server's key from its environment",
            f"Leave --env out and {client.key_needs}.",
        )
    key = env.get(API_KEY, "")
    return entries.remote(client, Remote(request.remote, f"Bearer {key}" if key else ""))


def _has_key(client: Client, text: str) -> bool:
    try:
        entry = merge.read_entry(client, text) or {}
    except ValueError:
        return False  # merging says what is wrong
    env, headers = entry.get("env"), entry.get("headers")
    return (isinstance(env, dict) and API_KEY in env) or (isinstance(headers, dict) and "Authorization" in headers)


def _how_to_add_key(request: Request) -> str:
    if request.client.format == "toml" and request.remote:
        return f"No key was written: {request.client.key_needs}."
    return (
        f"No key was written: add {API_KEY} to the entry, or run this again with --env {API_KEY}=… "
        f"(--env {API_KEY} alone takes the value it has in this shell). Keys are made at {KEYS_PAGE}."
    )


def _bad(what: str, next_step: str) -> Refused:
    return Refused(f"{what}.", code="invalid_arguments", next_step=next_step)
