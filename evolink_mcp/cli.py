"""The commands. Only this module prints."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from evolink_mcp import __version__
from evolink_mcp.environment import UPLOAD_DIRS, help_text

if TYPE_CHECKING:
    from evolink_mcp.settings import Toolset

PLAIN: tuple[list[str], ...] = ([], ["stdio"])
TRY = "try it without a key:  evolink-mcp demo"


HTTP_EPILOG = """\
examples:
  evolink-mcp http                          on this machine; callers bring their EvoLink keys
  evolink-mcp http --sandbox                the same on the built-in sandbox; any key will do
  EVOLINK_API_KEY=… EVOLINK_MCP_TOKENS=alice:… evolink-mcp http --auth token
                                            callers bring tokens, the key stays here
  evolink-mcp http --host 0.0.0.0 --allow-host mcp.example.com
                                            behind a proxy that serves https://mcp.example.com

try it:  curl http://127.0.0.1:8000/ready
"""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character must not end a command
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        # How hosts start it: nobody reads the help then, and making the parser of all commands takes 10 ms.
        code = _run(
            argparse.Namespace(sandbox=False, command="stdio") if words in PLAIN else _parser().parse_args(words)
        )
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evolink-mcp",
        description="MCP server for making images and videos through the EvoLink gateway.",
        epilog=f"{help_text()}\n\n{TRY}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"evolink-mcp {__version__}")
    parser.add_argument("--sandbox", action="store_true", help="use the built-in sandbox: no key, no costs")
    commands = parser.add_subparsers(dest="command", metavar="command")

    stdio = commands.add_parser("stdio", help="serve MCP on stdin and stdout (the default)")
    stdio.add_argument(
        "--sandbox",
        action="store_true",
        default=argparse.SUPPRESS,
        help="use the built-in sandbox: no key, no costs",
    )

    stdio.add_argument(
        "--upload-dirs", nargs="*", metavar="DIR", help=f"folders files may be uploaded from (instead of {UPLOAD_DIRS})"
    )
    _add_toolset_flags(stdio)

    http = commands.add_parser(
        "http",
        help="serve MCP over HTTP, for agents elsewhere",
        description="Serves Streamable HTTP at /mcp and HTTP+SSE at /sse, with /health, /ready and /metrics. "
        "TLS is the job of a proxy in front. docs/remote.md tells more.",
        epilog=HTTP_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_http_options(http)
    _add_toolset_flags(http)

    demo = commands.add_parser("demo", help="watch the whole job done on the sandbox, no key needed")
    demo.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for the files it makes")

    sandbox = commands.add_parser("sandbox", help="run the built-in EvoLink sandbox alone, on this machine only")
    sandbox.add_argument("--port", type=_port, default=8787, help="port on 127.0.0.1 (default 8787; 0: any free one)")

    models = commands.add_parser("models", help="list the models, or tell everything one takes")
    models.add_argument("model", nargs="?", help="a model id")
    models.add_argument("--kind", choices=("image", "video"), help="only these")

    _add_install(commands.add_parser("install", help="print, or write, what a client needs to start this server"))

    doctor = commands.add_parser("doctor", help="what is configured, what is reachable, what is wrong, what to do")
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.add_argument("--client", choices=_clients(), help="look through the settings of this client's entry")
    return parser


def _add_toolset_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--toolsets",
        type=_toolsets,
        metavar="LIST",
        help="tools to offer: media, text, account or all; several with commas (default: EVOLINK_TOOLSETS, or media)",
    )
    command.add_argument("--read-only", action="store_true", help="offer only tools that spend and change nothing")


def _toolsets(text: str) -> tuple[Toolset, ...]:
    from evolink_mcp.settings import parse_toolsets

    try:
        return parse_toolsets(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_http_options(http: argparse.ArgumentParser) -> None:
    from evolink_mcp.transports.http.options import AUTHS, HttpOptions

    default = HttpOptions()
    add = http.add_argument
    add("--sandbox", action="store_true", default=argparse.SUPPRESS, help="use the built-in sandbox: no costs")
    add("--host", default=default.host, help="address to bind (default %(default)s; 0.0.0.0: all)")
    add("--port", type=_port, default=default.port, help="port (default %(default)s; 0: any free one)")
    add(
        "--auth",
        choices=AUTHS,
        default=default.auth,
        help="passthrough (default): each caller brings an EvoLink key; token: callers bring a token of "
        "EVOLINK_MCP_TOKENS and EVOLINK_API_KEY pays; none: everybody is you, on loopback only",
    )
    add("--no-sse", dest="sse", action="store_false", help="leave /sse and /messages/ out")
    add("--allow-host", metavar="NAME", action="append", default=[], help="a name this server is reached under; repeat")
    add("--allow-origin", metavar="ORIGIN", action="append", default=[], help="web pages that may call it; repeat")
    add(
        "--forwarded-allow-ips",
        metavar="IPS",
        default=default.forwarded_allow_ips,
        help="proxies whose X-Forwarded-For and -Proto are believed, separated by commas (default %(default)s)",
    )
    limit = "(default %(default)s; 0: no limit)"
    add("--calls-per-minute", type=_count, default=default.calls_per_minute, help=f"tool calls of one caller {limit}")
    add(
        "--waits-per-caller", type=_count, default=default.waits_per_caller, help=f"waits of one caller at once {limit}"
    )
    add("--sse-connections", type=_count, default=default.sse_connections, help=f"open SSE connections {limit}")
    add("--log-format", choices=("json", "text"), default="json", help="one JSON object a line (default), or text")


def _clients() -> list[str]:
    from evolink_mcp.install.clients import BY_ID

    return list(BY_ID)


def _add_install(install: argparse.ArgumentParser) -> None:
    install.add_argument("client", choices=_clients(), help="the client", metavar=f"CLIENT ({', '.join(_clients())})")
    install.add_argument("--write", action="store_true", help="merge it into the client's file, keeping a backup")
    install.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a variable for the server; without a value the one of this shell. A key is written only if given here",
    )
    install.add_argument("--sandbox", action="store_true", help="let the client use the sandbox: no key, no costs")
    install.add_argument("--remote", default="", metavar="URL", help="a server that runs elsewhere, by its address")
    install.add_argument("--file", type=Path, help="another file than the user's own, such as a project's")


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "http":
            return _http(arguments)
        case "demo":
            return _demo(arguments.out)
        case "sandbox":
            return _sandbox(arguments.port)
        case "models":
            return _models(arguments.model, arguments.kind)
        case "install":
            return _install(arguments)
        case "doctor":
            return _doctor(as_json=arguments.json, client=arguments.client)
        case _:
            chosen, read_only = getattr(arguments, "toolsets", None), getattr(arguments, "read_only", False)
            folders = getattr(arguments, "upload_dirs", None)
            return _stdio(sandbox=arguments.sandbox, upload_dirs=folders, toolsets=chosen, read_only=read_only)


def _stdio(
    *, sandbox: bool, upload_dirs: list[str] | None, toolsets: tuple[Toolset, ...] | None, read_only: bool
) -> int:
    from evolink_mcp.errors import SettingsError
    from evolink_mcp.guard.secrets import set_up_logging
    from evolink_mcp.settings import read_settings

    given = {} if upload_dirs is None else {UPLOAD_DIRS: os.pathsep.join(upload_dirs)}
    try:
        settings = read_settings({**os.environ, **given})
    except SettingsError as error:
        return _fail(error.render(paid=False))
    if (sandbox or settings.sandbox) and (missing := _missing_extras()):
        return _fail(missing)
    set_up_logging(settings.log_level, settings.api_key)
    settings = replace(settings, toolsets=toolsets or settings.toolsets, read_only=read_only)

    import anyio

    from evolink_mcp.transports.stdio import run_stdio

    anyio.run(run_stdio, settings, sandbox or settings.sandbox)
    return 0


def _http(arguments: argparse.Namespace) -> int:
    from evolink_mcp.errors import SettingsError
    from evolink_mcp.guard.secrets import set_up_logging
    from evolink_mcp.settings import read_settings
    from evolink_mcp.transports.http.options import HttpOptions

    try:
        settings = read_settings()
    except SettingsError as error:
        return _fail(error.render(paid=False))
    use_sandbox = arguments.sandbox or settings.sandbox
    if use_sandbox and (missing := _missing_extras()):
        return _fail(missing)
    settings = replace(settings, toolsets=arguments.toolsets or settings.toolsets, read_only=arguments.read_only)
    options = HttpOptions(
        host=arguments.host,
        port=arguments.port,
        auth=arguments.auth,
        sse=arguments.sse,
        allow_hosts=tuple(arguments.allow_host),
        allow_origins=tuple(arguments.allow_origin),
        forwarded_allow_ips=arguments.forwarded_allow_ips,
        calls_per_minute=arguments.calls_per_minute,
        waits_per_caller=arguments.waits_per_caller,
        sse_connections=arguments.sse_connections,
    )

    import anyio

    from evolink_mcp.transports.http.logs import formatter_of
    from evolink_mcp.transports.http.serve import run_http

    formatter = formatter_of(arguments.log_format, settings.api_key)
    set_up_logging(settings.log_level, formatter=formatter)
    try:
        anyio.run(run_http, settings, options, use_sandbox, _announce_http)
    except SettingsError as error:
        return _fail(error.render(paid=False))
    except OSError as error:
        return _fail(f"The server {error.strerror or error}.\nNext: choose another --host or --port.")
    return 0


def _announce_http(url: str) -> None:
    print(f"evolink-mcp answers at {url}/mcp (Ctrl-C ends it).", flush=True)


def _demo(out: Path) -> int:
    if missing := _missing_extras():
        return _fail(missing)
    from evolink_mcp.demo import run_demo

    try:
        return run_demo(out)
    except OSError as error:
        return _fail(f"The demo cannot write to {out} ({error.strerror}).\nNext: choose another folder with --out.")


def _sandbox(port: int) -> int:
    if missing := _missing_extras():
        return _fail(missing)
    from evolink_mcp.guard.secrets import set_up_logging
    from evolink_mcp.sandbox.config import SandboxConfig
    from evolink_mcp.sandbox.serve import serve_forever

    set_up_logging("INFO")
    try:
        serve_forever(SandboxConfig(), port, on_ready=_announce)
    except OSError as error:
        return _fail(f"The sandbox {error.strerror or error}.\nNext: choose another --port, or 0 for any free one.")
    return 0


def _announce(url: str) -> None:
    print(f"The sandbox EvoLink answers at {url} (any key will do; Ctrl-C ends it).", flush=True)


def _port(text: str) -> int:
    """A port number; 0 is any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port from 0 to 65535 is expected, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    """A number that is not negative."""
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"a number from 0 is expected, not {text[:40]!r}")
    return int(text)


def _models(model: str | None, kind: Literal["image", "video"] | None) -> int:
    from evolink_mcp.errors import EvolinkError
    from evolink_mcp.settings import read_settings
    from evolink_mcp.tools.app import App
    from evolink_mcp.tools.models import models_view

    try:
        view = models_view(App(read_settings()), kind=kind, model=model, brief=False)
    except EvolinkError as error:
        return _fail(error.render(paid=False))
    print(view.as_text())
    return 0


def _install(arguments: argparse.Namespace) -> int:
    from evolink_mcp.errors import EvolinkError
    from evolink_mcp.install import plan
    from evolink_mcp.install.clients import BY_ID

    client = BY_ID[arguments.client]
    try:
        request = plan.Request(
            client, plan.parse_env(arguments.env), arguments.sandbox, arguments.remote, arguments.file
        )
        text = plan.snippet(request)
    except EvolinkError as error:
        return _fail(error.render(paid=False))
    if not arguments.write:
        _tell(f"Put this into {request.path} beside what is there, or let --write do it. {client.after}\n")
        print(text, end="")
        return 0
    try:
        change, notes = plan.write_entry(request)
    except EvolinkError as error:
        _tell(error.render(paid=False) + "\n")
        print(text, end="")
        return 1
    for line in plan.told(request, change, notes):
        print(line)
    return 0


def _doctor(*, as_json: bool, client: str | None) -> int:
    from evolink_mcp.doctor import examine

    report = examine(client)
    if as_json:
        print(report.as_json())
    else:
        report.show()
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
    print(text, file=sys.stderr)
