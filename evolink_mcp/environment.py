"""What can be set in the environment, as data.

The README's table, ``--help``, the manifests and ``doctor`` are made of it;
:mod:`evolink_mcp.settings` is what reads it, and a test compares the two.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from evolink_mcp.settings import API_URL, FILES_URL, IMAGE_MODEL_VARIABLE, LOG_LEVELS, TEXT_URL, VIDEO_MODEL_VARIABLE

API_KEY = "EVOLINK_API_KEY"
OUTPUT_DIR = "EVOLINK_OUTPUT_DIR"
UPLOAD_DIRS = "EVOLINK_UPLOAD_DIRS"


@dataclass(frozen=True)
class Variable:
    """One variable.

    ``meaning`` and ``otherwise`` (what holds where it is not set) are in the
    README's Markdown. ``default`` is the value that amounts to not setting it,
    where there is one; ``remote_only`` ones are of no use to a desktop client.
    """

    name: str
    meaning: str
    otherwise: str = "–"
    default: str = ""
    choices: tuple[str, ...] = ()
    is_file: bool = False
    secret: bool = False
    remote_only: bool = False

    @property
    def plain(self) -> str:
        """The meaning without Markdown."""
        return plain(self.meaning)

    @property
    def holds_otherwise(self) -> str:
        return f"`{self.default}`" if self.default else self.otherwise


VARIABLES = (
    Variable(API_KEY, "your key; without it the server starts, and the tools that need it say so", secret=True),
    Variable(
        OUTPUT_DIR,
        "folder where finished results are saved",
        otherwise="not set: nothing is saved",
        is_file=True,
    ),
    Variable(
        UPLOAD_DIRS,
        "folders files may be uploaded from, separated by `:` (`;` on Windows)",
        otherwise="the working directory (unless it is `/` or your home) and the output folder",
    ),
    Variable(
        IMAGE_MODEL_VARIABLE, "model of `generate_image` where a call names none", otherwise="the registry's default"
    ),
    Variable(
        VIDEO_MODEL_VARIABLE, "model of `generate_video` where a call names none", otherwise="the registry's default"
    ),
    Variable("EVOLINK_BASE_URL", "the gateway; https, or http on this machine", default=API_URL),
    Variable("EVOLINK_FILES_URL", "its files API", default=FILES_URL),
    Variable("EVOLINK_TEXT_URL", "its text API", default=TEXT_URL),
    Variable(
        "EVOLINK_TOOLSETS",
        "tools to offer: `media`, `text`, `account`, several with commas, or `all` "
        "([docs/account.md](docs/account.md))",
        default="media",
    ),
    Variable(
        "EVOLINK_HISTORY",
        "remember submitted tasks, so that they are found again ([docs/account.md](docs/account.md))",
        otherwise="`on` over stdio, `off` over HTTP",
        choices=("on", "off"),
    ),
    Variable(
        "EVOLINK_MODELS_FILE",
        "TOML or JSON file that adds or changes models ([docs/registry.md](docs/registry.md))",
        is_file=True,
    ),
    Variable(
        "EVOLINK_UNLISTED_MODELS",
        "`allow` sends models that the registry does not know",
        default="refuse",
        choices=("refuse", "allow"),
    ),
    Variable("EVOLINK_SANDBOX", "`1` is `--sandbox`", default="0", choices=("0", "1")),
    Variable(
        "EVOLINK_MCP_TOKENS",
        "tokens for `http --auth token`: `alice:a-long-random-text,bob:another-long-text`; names are for metrics and "
        "logs ([docs/remote.md](docs/remote.md))",
        secret=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_STATE_URL",
        "`redis://host:6379/0` (also `rediss`, `valkey`, `valkeys`): what several replicas remember in common; "
        "needs the `redis` extra ([docs/deploy.md](docs/deploy.md))",
        secret=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_LOG_LEVEL",
        "`DEBUG` … `CRITICAL`; logs go to stderr and never hold the key",
        default="INFO",
        choices=LOG_LEVELS,
    ),
)


def for_clients() -> tuple[Variable, ...]:
    """What a client that starts this server itself may set."""
    return tuple(variable for variable in VARIABLES if not variable.remote_only)


def plain(markdown: str) -> str:
    """Text without the Markdown that the table uses: links and code."""
    return re.sub(r" ?\(\[[^]]*\]\([^)]*\)\)", "", markdown).replace("`", "")


def help_text() -> str:
    """The variables for ``--help``."""
    lines = ["environment (all optional):"]
    width = max(len(variable.name) for variable in VARIABLES) + 2
    for variable in VARIABLES:
        told = plain(variable.meaning)
        if variable.default:
            told += f" (default: {variable.default})"
        lines += textwrap.wrap(
            told, 108, initial_indent=f"  {variable.name:<{width}}", subsequent_indent=" " * (width + 2)
        )
    return "\n".join(lines)
