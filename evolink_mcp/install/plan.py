"""What ``install`` does for one client: prints the snippet to paste, or writes the file and says what changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from evolink_mcp.errors import KEYS_PAGE, Refused
from evolink_mcp.install import entries, merge, write
from evolink_mcp.install.clients import Client
from evolink_mcp.install.entries import YOUR_KEY, Content, Remote
from evolink_mcp.install.launch import Launch, running
from evolink_mcp.install.places import choose
from evolink_mcp.install.survey import files_with_entry
from evolink_mcp.settings.placeholders import Unfilled, stand_in
from evolink_mcp.settings.table import API_KEY, BY_NAME

_BEGINNINGS = frozenset(name.partition("_")[0] for name in BY_NAME)


@dataclass(frozen=True)
class Request:
    """What the user asked for. ``launch`` and ``file`` replace those of this machine."""

    client: Client
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    sandbox: bool = False
    remote: str = ""
    file: Path | None = None
    launch: Launch | None = None


def target(request: Request) -> Path:
    """The file to write to.

    Raises:
        Refused: Several may be meant, or none is known.
    """
    return request.file or choose(request.client, files_with_entry(request.client))


def advice(request: Request) -> str:
    """Where the snippet belongs."""
    try:
        where = f"Put this into {target(request)} beside what is there, or let --write do it."
    except Refused as error:
        where = f"{error.what}\nPut this into the client's file, or let --write --file FILE do it."
    return f"{where} {request.client.after}"


def parse_env(items: Sequence[str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of ``--env NAME=VALUE`` and of ``--env NAME``, which takes this shell's value.

    Raises:
        Refused: A name that this server does not read, one without a value, or a value that it could not use.
    """
    variables: dict[str, str] = {}
    for item in items:
        name, has_value, value = item.partition("=")
        variable = BY_NAME.get(name)
        if variable is None:
            shown = repr(name[:60]) if name.partition("_")[0] in _BEGINNINGS else "what is given"  # which may be a key
            raise _bad(f"--env: {shown} is not read by evolink-mcp", f"Use one of {', '.join(sorted(BY_NAME))}.")
        variables[name] = value if has_value else environ.get(name, "")
        if not variables[name]:
            raise _bad(f"--env {name} has no value, and {name} is not set here", f"Use --env {name}=VALUE.")
        try:
            variable.read(variables[name], environ)
        except Unfilled:
            pass  # the client may fill it in
        except ValueError as error:
            raise _bad(f"--env: {name} {str(error).rstrip('.')}", f"Use --env {name}=VALUE.") from None
    return variables


def snippet(request: Request, *, with_secrets: bool = True) -> str:
    """The text of a file that holds this server alone, with a place for the key."""
    client = request.client
    env = dict(request.env)
    if API_KEY not in env and not request.sandbox:
        env[API_KEY] = client.key_reference if client.asks_for_key else YOUR_KEY
    elif not with_secrets:
        env |= {name: YOUR_KEY for name in env if BY_NAME[name].secret}
    return entries.as_text(client, _content(request, env))


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
        merged = merge.merge(client, text, _content(request, env))
        notes.extend(merged.notes)
        return merged.text

    result = write.rewrite(target(request), change)
    notes.extend(_dangers(request, result))
    return result, tuple(notes)


def _dangers(request: Request, change: write.Change) -> Iterator[str]:
    """What may make a key known to others."""
    for name in request.env:
        if placeholder := stand_in(request.env[name]):
            yield f"{name} is {placeholder!r}: put the real value there, unless {request.client.title} fills it in."
    if not any(BY_NAME[name].secret for name in request.env):
        return
    if change.open_to_others:
        yield f"Other users of this machine may read {change.path}, which holds your key now: run chmod 600 on it."
    if any(os.path.exists(folder / ".git") for folder in change.path.resolve().parents):
        yield f"{change.path} is in a git repository and holds your key now: do not commit it."


def summary(request: Request, change: write.Change, notes: Sequence[str]) -> list[str]:
    """What to say of a file that was written."""
    lines = [f"{change.path} {'now has the entry evolink' if change.changed else 'already had this entry'}."]
    if change.backup:
        lines.append(f"The previous version is kept as {change.backup}.")
    launch = request.launch or running()
    if launch.note and not request.remote:
        lines.append(launch.note)
    return [*lines, *notes, f"Next: {request.client.after}"]


def _content(request: Request, env: Mapping[str, str]) -> Content:
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
    if problem := _link_problem(request.remote):
        raise _bad(
            f"--remote {problem}",
            f"Give an address like https://mcp.example.com/mcp; a key goes into --env {API_KEY}=….",
        )
    key = env.get(API_KEY, "")
    return entries.remote(client, Remote(request.remote, f"Bearer {key}" if key else ""))


def _link_problem(link: str) -> str:
    """What is wrong with the address of a server, which is not shown: it may hold a password."""
    try:
        parts = urlsplit(link)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not link.isprintable() or " " in link:
        return "is not an http or https address"
    return "holds a user name or password" if "@" in parts.netloc else ""


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
