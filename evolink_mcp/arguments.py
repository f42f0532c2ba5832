"""What can be said on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evolink_mcp import __version__
from evolink_mcp.settings.places import Bucket, read_bucket
from evolink_mcp.settings.table import UPLOAD_DIRS, help_text

if TYPE_CHECKING:
    from evolink_mcp.settings import Toolset
    from evolink_mcp.transports.http.options import HttpOptions

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


def parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of a command line. Only commands that ``argv`` names get their options: hosts start often."""
    parser = argparse.ArgumentParser(
        prog="evolink-mcp",
        description="MCP server for making images and videos through the EvoLink gateway.",
        epilog=f"{help_text()}\n\n{TRY}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"evolink-mcp {__version__}")
    parser.add_argument("--sandbox", action="store_true", help="use the built-in sandbox: no key, no costs")
    _add_toolset_flags(parser)
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
    _add_toolset_flags(stdio, again=True)

    http = commands.add_parser(
        "http",
        help="serve MCP over HTTP, for agents elsewhere",
        description="Serves Streamable HTTP at /mcp and HTTP+SSE at /sse, with /health, /ready and /metrics. "
        "A proxy in front does TLS. See docs/remote.md.",
        epilog=HTTP_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if "http" in argv:
        _add_http_options(http)
        _add_toolset_flags(http, again=True)

    demo = commands.add_parser("demo", help="watch a complete run on the sandbox, no key needed")
    demo.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=Path("demo-output"),
        help="folder for the files it makes (default %(default)s)",
    )
    demo.add_argument("--picture", type=Path, metavar="SVG", help="draw what the terminal showed into a file")

    sandbox = commands.add_parser("sandbox", help="run the built-in EvoLink sandbox alone, on this machine only")
    sandbox.add_argument("--port", type=_port, default=8787, help="port on 127.0.0.1 (default 8787; 0: any free one)")

    models = commands.add_parser("models", help="list the models, or show everything that one takes")
    models.add_argument("model", nargs="?", help="a model id")
    models.add_argument("--kind", choices=("image", "video", "audio"), help="only models of this kind")
    models.add_argument("--live", action="store_true", help="compare with what the gateway offers your key")

    install = commands.add_parser("install", help="print, or write, what a client needs to start this server")
    if "install" in argv:
        _add_install(install)

    usage = commands.add_parser("usage", help="for operators: who made what, at what cost (needs EVOLINK_STATE_URL)")
    usage.add_argument(
        "--since", default="7d", metavar="DAY", help="a date, or a number of days (default 7d; most 62d)"
    )
    usage.add_argument("--json", action="store_true", help="for programs")

    doctor = commands.add_parser("doctor", help="what is configured, what is reachable, what is wrong, what to do")
    doctor.add_argument("--json", action="store_true", help="for programs")
    if "doctor" in argv:
        doctor.add_argument("--client", choices=_clients(), help="check with the settings of this client's entry")
    return parser


def _add_toolset_flags(command: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Adds the flags. With ``again``, the command's defaults do not undo flags that came before it."""
    command.add_argument(
        "--toolsets",
        type=_toolsets,
        metavar="LIST",
        default=argparse.SUPPRESS if again else None,
        help="tools to offer: media, audio, text, account or all; several with commas "
        "(default: EVOLINK_TOOLSETS, or media)",
    )
    command.add_argument(
        "--read-only",
        action="store_true",
        default=argparse.SUPPRESS if again else False,
        help="offer only tools that spend and change nothing",
    )


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
        "EVOLINK_MCP_TOKENS and EVOLINK_API_KEY pays; oauth: callers sign in at EVOLINK_OAUTH_ISSUER and "
        "EVOLINK_API_KEY pays; none: everybody is you, on loopback only",
    )
    add("--public-url", metavar="URL", default="", help="how clients write this server's address, without /mcp")
    add(
        "--callback-url",
        metavar="URL",
        default="",
        help="how the gateway reaches this server's /callbacks, so that results are told at once",
    )
    add("--open-lists", action="store_true", help="with --auth oauth: answer lists before anybody signs in")
    add(
        "--keep",
        type=_keeping_place,
        metavar="DIR",
        help="keep results past 24 hours in this folder or s3://BUCKET/PREFIX (EVOLINK_KEEP_DIR)",
    )
    add("--no-sse", dest="sse", action="store_false", help="leave /sse and /messages/ out")
    add(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a host name that clients use for this server; may be repeated",
    )
    add(
        "--allow-origin",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="a web page, extension or app that may call it; may be repeated",
    )
    add(
        "--forwarded-allow-ips",
        metavar="IPS",
        default=default.forwarded_allow_ips,
        help="proxies (with commas) whose X-Forwarded-For, -Proto and -Prefix are trusted (default %(default)s)",
    )
    add("--root-path", metavar="PATH", default="", help="path at which a proxy serves this server, as in /evolink")
    for flag, usual, what in (
        ("--calls-per-minute", default.calls_per_minute, "tool calls of one caller"),
        ("--waits-per-caller", default.waits_per_caller, "waits of one caller at once"),
        ("--sse-connections", default.sse_connections, "open SSE connections"),
        ("--connections", default.connections, "open connections of all kinds"),
    ):
        add(flag, type=_count, metavar="N", default=usual, help=f"{what} (default %(default)s; 0: no limit)")
    for flag, what in (
        ("--max-credits-per-call", "credits that one call may cost (default: the environment's)"),
        ("--max-credits-per-day", "credits of one caller in a day, UTC (default: the environment's)"),
        ("--max-credits-per-day-in-all", "credits of all callers in a day (default: no limit)"),
    ):
        add(flag, type=_credits, metavar="N", help=what)
    workers = "processes (default 1; more need EVOLINK_STATE_URL)"
    add("--workers", type=_workers, metavar="N", default=default.workers, help=workers)
    add("--log-format", choices=("json", "text"), default="json", help="one JSON object a line (default), or text")


def http_options(arguments: argparse.Namespace) -> HttpOptions:
    """What was said of ``http``."""
    from evolink_mcp.transports.http.options import HttpOptions

    return HttpOptions(
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
        max_credits_per_call=arguments.max_credits_per_call,
        max_credits_per_day=arguments.max_credits_per_day,
        max_credits_per_day_in_all=arguments.max_credits_per_day_in_all,
        connections=arguments.connections,
        root_path=arguments.root_path,
        public_url=arguments.public_url,
        callback_url=arguments.callback_url,
        open_lists=arguments.open_lists,
        keep_dir=arguments.keep,
        workers=arguments.workers,
        json_lines=arguments.log_format == "json",
    )


def _keeping_place(text: str) -> Path | Bucket:
    if not text.lower().startswith("s3:"):
        return Path(text)
    try:
        return read_bucket(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
        help="a variable for the server, by default with this shell's value. A key is written only if you name it here",
    )
    install.add_argument("--sandbox", action="store_true", help="let the client use the sandbox: no key, no costs")
    install.add_argument("--remote", default="", metavar="URL", help="a server that runs elsewhere, by its address")
    install.add_argument("--file", type=Path, help="a file other than the user's own, such as a project's")


def _workers(text: str) -> int:
    """A number of processes, 1 to 64."""
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"it takes 1 to 64 (it is {text[:40]!r})")
    return int(text)


def _port(text: str) -> int:
    """A port number; 0 is any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port from 0 to 65535 is expected, not {text!r}")
    return int(text)


def _credits(text: str) -> float:
    """An amount of credits above 0."""
    from evolink_mcp.settings.readers import read_credits

    try:
        return read_credits(text, {})
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"the value {error}") from None


def _count(text: str) -> int:
    """A number that is not negative."""
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"a number from 0 is expected, not {text[:40]!r}")
    return int(text)
