"""The commands. Only this module prints."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from evolink_mcp import __version__
from evolink_mcp.front import Front, front_of

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

# How hosts start it: nobody reads the help then, and making the parser of all commands takes 10 ms.
PLAIN_WORDS: tuple[list[str], ...] = ([], ["stdio"])
PLAIN = {"command": "stdio", "sandbox": False, "upload_dirs": None, "toolsets": None, "read_only": False}

BY_HAND = f"""\
evolink-mcp {__version__} is an MCP server. It waits here for a client that speaks JSON-RPC; Ctrl-C ends it.
Set a client up:  evolink-mcp install CLIENT --write  (evolink-mcp install --help lists them)
Watch it work:    evolink-mcp demo\
"""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character must not end a command
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        front = front_of(words)
        if front is not None:
            front.serve()
        code = _run(_parse(words), front)
    except KeyboardInterrupt:
        code = 130
    except OSError as error:
        from evolink_mcp.guard.stdout import is_unread

        if not is_unread(error):
            raise
        code = 141  # ``evolink-mcp models | head``: its reader has enough
    finally:
        gc.enable()
        lost = _print("")
    sys.exit(code or lost)


def _parse(words: list[str]) -> Any:
    """The command and its options."""
    if words in PLAIN_WORDS:
        return SimpleNamespace(**PLAIN)
    from evolink_mcp.arguments import parser

    return parser(words).parse_args(words)


def _run(arguments: Any, front: Front | None) -> int:
    """Runs the command; returns its exit code. Errors with a way out are told here."""
    from evolink_mcp.errors import EvolinkError

    try:
        return _command(arguments, front)
    except EvolinkError as error:
        return _fail(error.render(paid=False))


def _command(arguments: Any, front: Front | None) -> int:
    match arguments.command:
        case "http":
            return _http(arguments)
        case "demo":
            return _demo(arguments.out, arguments.picture)
        case "sandbox":
            return _sandbox(arguments.port)
        case "models":
            return _live_models() if arguments.live else _models(arguments.model, arguments.kind)
        case "install":
            return _install(arguments)
        case "usage":
            return _usage(arguments.since, as_json=arguments.json)
        case "doctor":
            return _doctor(as_json=arguments.json, client=arguments.client)
        case _:
            return _stdio(arguments, front)


def _stdio(arguments: Any, front: Front | None) -> int:
    gc.disable()  # what a start makes, stays: a twelfth of it went into the search for garbage, until ``settle``
    from dataclasses import replace

    from evolink_mcp.guard.logs import set_up_logging
    from evolink_mcp.settings import read_settings, warn_of_ignored
    from evolink_mcp.settings.table import UPLOAD_DIRS

    upload_dirs: list[str] | None = getattr(arguments, "upload_dirs", None)
    folders = {} if upload_dirs is None else {UPLOAD_DIRS: os.pathsep.join(upload_dirs)}
    settings = read_settings({**os.environ, **folders})
    use_sandbox = arguments.sandbox or settings.sandbox
    if use_sandbox and (missing := _missing_extras()):
        return _fail(missing)
    set_up_logging(settings.log_level, settings.api_key)
    warn_of_ignored(settings)
    settings = replace(settings, toolsets=arguments.toolsets or settings.toolsets, read_only=arguments.read_only)

    if sys.stdin is None or sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        return _fail("stdio needs stdin and stdout, and one of them is closed.\nNext: evolink-mcp http needs neither.")
    if sys.stdin.isatty():
        _tell(BY_HAND)

    import anyio

    from evolink_mcp.transports.stdio import run_stdio

    anyio.run(run_stdio, settings, use_sandbox, front)
    return 0


def _http(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from evolink_mcp.arguments import http_options
    from evolink_mcp.guard.logs import set_up_logging
    from evolink_mcp.settings import read_settings, warn_of_ignored
    from evolink_mcp.settings.places import bucket_secrets

    settings = read_settings(strict=True)
    use_sandbox = arguments.sandbox or settings.sandbox
    if use_sandbox and (missing := _missing_extras()):
        return _fail(missing)
    settings = replace(settings, toolsets=arguments.toolsets or settings.toolsets, read_only=arguments.read_only)
    options = http_options(arguments)

    import anyio

    from evolink_mcp.transports.http.logs import limit_repeats
    from evolink_mcp.transports.http.serve import run_http

    set_up_logging(settings.log_level, settings.api_key, *bucket_secrets(os.environ), json_lines=options.json_lines)
    limit_repeats()
    warn_of_ignored(settings)
    try:
        anyio.run(run_http, settings, options, use_sandbox, _announce_http)
    except OSError as error:
        return _fail(f"The server {error.strerror or error}.\nNext: choose another --host or --port.")
    return 0


def _announce_http(url: str) -> None:
    _print(f"evolink-mcp answers at {url}/mcp (Ctrl-C ends it).\n")
    if sys.stdin is not None and sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        _tell(f"Set a client up:  evolink-mcp install CLIENT --remote {url}/mcp")


def _demo(out: Path, picture: Path | None) -> int:
    if missing := _missing_extras():
        return _fail(missing)
    from evolink_mcp.demo import run_demo

    try:
        return run_demo(out, picture)
    except OSError as error:
        return _fail(f"The demo cannot write to {out} ({error.strerror}).\nNext: choose another folder with --out.")


def _sandbox(port: int) -> int:
    if missing := _missing_extras():
        return _fail(missing)
    from evolink_mcp.guard.logs import set_up_logging
    from evolink_mcp.sandbox.config import SandboxConfig
    from evolink_mcp.sandbox.serve import serve_forever

    set_up_logging("INFO")
    try:
        serve_forever(SandboxConfig(), port, on_ready=_announce)
    except OSError as error:
        return _fail(f"The sandbox {error.strerror or error}.\nNext: choose another --port, or 0 for any free one.")
    return 0


def _announce(url: str) -> None:
    _print(f"The sandbox EvoLink answers at {url} (any key will do; Ctrl-C ends it).\n")


def _live_models() -> int:
    """What the gateway offers this key, beside what the registry knows. Nothing is refused because of it."""
    import anyio

    from evolink_mcp.errors import EvolinkError
    from evolink_mcp.guard.secrets import redact
    from evolink_mcp.settings import Settings, read_settings
    from evolink_mcp.tools.app import App
    from evolink_mcp.tools.models import live_models

    async def compare(settings: Settings) -> str:
        app = App(settings)
        try:
            return await live_models(app)
        finally:
            await app.aclose()

    key = None  # which the gateway's answer may hold
    try:
        settings = read_settings()
        key = settings.api_key
        print(redact(anyio.run(compare, settings), key))
    except EvolinkError as error:
        return _fail(redact(error.render(paid=False), key))
    return 0


def _models(model: str | None, kind: Literal["image", "video", "audio"] | None) -> int:
    from evolink_mcp.settings import read_settings
    from evolink_mcp.tools.app import App
    from evolink_mcp.tools.models import models_view

    print(models_view(App(read_settings()), kind=kind, model=model, brief=False).as_text())
    return 0


def _install(arguments: argparse.Namespace) -> int:
    from evolink_mcp.errors import EvolinkError
    from evolink_mcp.install import plan
    from evolink_mcp.install.clients import BY_ID

    client = BY_ID[arguments.client]
    request = plan.Request(client, plan.parse_env(arguments.env), arguments.sandbox, arguments.remote, arguments.file)
    text = plan.snippet(request)
    if not arguments.write:
        _tell(f"{plan.advice(request)}\n")
        print(text, end="")
        return 0
    try:
        change, notes = plan.write_entry(request)
    except EvolinkError as error:
        _tell(error.render(paid=False) + "\n")
        print(plan.snippet(request, with_secrets=False), end="")
        return 1
    for line in plan.summary(request, change, notes):
        print(_plain(line))
    return 0


def _usage(since: str, *, as_json: bool) -> int:
    from evolink_mcp.terminal import Terminal
    from evolink_mcp.usage import answer

    told = answer(since, as_json=as_json)
    print(told) if isinstance(told, str) else Terminal().print(told)
    return 0


def _doctor(*, as_json: bool, client: str | None) -> int:
    from evolink_mcp.doctor import examine

    report = examine(client)
    print(report.as_json()) if as_json else report.show()
    return 0 if report.ok else 1


def _missing_extras() -> str:
    """What to say where the demo extra is not installed, else ""."""
    from evolink_mcp.sandbox.extras import missing_extras

    missing = missing_extras()
    if not missing:
        return ""
    return (
        f"The sandbox needs {' and '.join(missing)}, which are not installed.\n"
        "Next: install the demo extra, from a checkout: pip install '.[demo]'"
    )


def _fail(text: str) -> int:
    _tell(text)
    return 2


def _tell(text: str) -> None:
    print(_plain(text), file=sys.stderr)


def _plain(text: str) -> str:
    from evolink_mcp.guard.text import clean_text

    return clean_text(text)  # a path may hold what steers a terminal


def _print(text: str) -> int:
    from evolink_mcp.guard.stdout import put

    return _fail(problem) if (problem := put(text)) else 0
