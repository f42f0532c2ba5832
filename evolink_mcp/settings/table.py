"""Every variable that can be set: its name, type, default and meaning.

Reading, ``--help``, the README's table, the manifests and ``doctor`` are all made of this. A new setting is one row
here and one field of :class:`evolink_mcp.settings.Settings`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from evolink_mcp.settings import readers
from evolink_mcp.settings.readers import LogLevel, Reader, one_of

API_KEY = "EVOLINK_API_KEY"
OUTPUT_DIR = "EVOLINK_OUTPUT_DIR"
UPLOAD_DIRS = "EVOLINK_UPLOAD_DIRS"
IMAGE_MODEL = "EVOLINK_IMAGE_MODEL"
VIDEO_MODEL = "EVOLINK_VIDEO_MODEL"
BASE_URL = "EVOLINK_BASE_URL"
FILES_URL = "EVOLINK_FILES_URL"
TEXT_URL = "EVOLINK_TEXT_URL"

LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
SWITCH: Mapping[str, bool] = {
    **dict.fromkeys(("on", "1", "true", "yes", "y", "t", "enable", "enabled"), True),
    **dict.fromkeys(("off", "0", "false", "no", "n", "f", "disable", "disabled"), False),
}
UNLISTED: Mapping[str, bool] = {
    "refuse": False,
    "allow": True,
    **dict.fromkeys(("deny", "reject", "forbid", "block"), False),
    **dict.fromkeys(("allowed", "accept", "permit"), True),
    **SWITCH,
}
LEVELS: Mapping[str, LogLevel] = {
    **{level.lower(): level for level in LOG_LEVELS},
    **dict.fromkeys(("trace", "verbose", "all", "10"), "DEBUG"),
    **dict.fromkeys(("information", "informational", "notice", "20"), "INFO"),
    **dict.fromkeys(("warn", "30"), "WARNING"),
    **dict.fromkeys(("err", "40"), "ERROR"),
    **dict.fromkeys(("crit", "fatal", "alert", "emergency", "off", "none", "silent", "quiet", "50"), "CRITICAL"),
}


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        field: The field of ``Settings`` that it fills.
        read: Its type: makes the field's value of its text.
        meaning: What it is for, in the README's Markdown.
        default: The text that amounts to not setting it, where there is one.
        otherwise: What holds where it is not set, in words, where ``default`` cannot say it.
        choices: The words that it takes, where these are few. Synonyms are not among them.
        guards: A value that cannot be used must stop the start, because the default may send, spend or open more than
            was meant.
        secret: It is never shown.
        remote_only: It is of no use to a desktop client.
    """

    name: str
    field: str
    read: Reader
    meaning: str
    default: str = ""
    otherwise: str = "–"
    choices: tuple[str, ...] = ()
    is_file: bool = False
    guards: bool = False
    secret: bool = False
    remote_only: bool = False

    @property
    def plain(self) -> str:
        """The meaning without Markdown."""
        return plain(self.meaning)

    @property
    def default_text(self) -> str:
        """What holds where it is not set, in Markdown."""
        return f"`{self.default}`" if self.default else self.otherwise


VARIABLES = (
    Variable(
        API_KEY,
        "api_key",
        readers.read_key,
        "your key; without it the server starts, and the tools that need it say so",
        secret=True,
    ),
    Variable(
        OUTPUT_DIR,
        "output_dir",
        readers.read_place,
        "folder where finished results are saved",
        otherwise="not set: nothing is saved",
        is_file=True,
    ),
    Variable(
        UPLOAD_DIRS,
        "upload_dirs",
        readers.read_places,
        "folders files may be uploaded from, separated by `:` (`;` on Windows)",
        otherwise="the working directory (unless it is `/` or your home) and the output folder",
    ),
    Variable(
        IMAGE_MODEL,
        "image_model",
        readers.read_text,
        "model of `generate_image` where a call names none",
        otherwise="the registry's default",
    ),
    Variable(
        VIDEO_MODEL,
        "video_model",
        readers.read_text,
        "model of `generate_video` where a call names none",
        otherwise="the registry's default",
    ),
    Variable(
        BASE_URL,
        "base_url",
        readers.read_url,
        "the gateway; https, or http on this machine",
        default="https://api.evolink.ai",  # S0, S1
        guards=True,
    ),
    Variable(
        FILES_URL,
        "files_url",
        readers.read_url,
        "its files API",
        default="https://files-api.evolink.ai",  # S1
        guards=True,
    ),
    Variable(
        TEXT_URL,
        "text_url",
        readers.read_url,
        "its text API",
        default="https://direct.evolink.ai",  # S0
        guards=True,
    ),
    Variable(
        "EVOLINK_TOOLSETS",
        "toolsets",
        readers.read_toolsets,
        "tools to offer: `media`, `audio`, `text`, `account`, several with commas, or `all` "
        "([docs/account.md](docs/account.md))",
        default="media",
    ),
    Variable(
        "EVOLINK_HISTORY",
        "history",
        one_of(SWITCH, "on", "off"),
        "remember submitted tasks, so that they are found again ([docs/account.md](docs/account.md))",
        otherwise="`on` over stdio, `off` over HTTP",
        choices=("on", "off"),
    ),
    Variable(
        "EVOLINK_RESULT_LINKS",
        "result_links",
        one_of(SWITCH, "on", "off"),
        "`on` adds `resource_link` blocks to results; several agent frameworks fail on them",
        default="off",
        choices=("on", "off"),
    ),
    Variable(
        "EVOLINK_MODELS_FILE",
        "models_file",
        readers.read_place,
        "TOML or JSON file that adds or changes models ([docs/registry.md](docs/registry.md))",
        is_file=True,
    ),
    Variable(
        "EVOLINK_UNLISTED_MODELS",
        "allow_unlisted_models",
        one_of(UNLISTED, "refuse", "allow"),
        "`allow` sends models that the registry does not know",
        default="refuse",
        choices=("refuse", "allow"),
    ),
    Variable(
        "EVOLINK_FAKE_IP",
        "fake_ip",
        one_of(SWITCH, "1", "0"),
        "`1` fetches results through a local proxy in fake-IP mode (Clash, Surge, sing-box), which answers names with "
        "addresses of 198.18.0.0/15 ([docs/files.md](docs/files.md))",
        default="0",
        choices=("0", "1"),
    ),
    Variable(
        "EVOLINK_SANDBOX",
        "sandbox",
        one_of(SWITCH, "1", "0"),
        "`1` is `--sandbox`",
        "0",
        choices=("0", "1"),
        guards=True,
    ),
    Variable(
        "EVOLINK_MCP_TOKENS",
        "mcp_tokens",
        readers.read_tokens,
        "tokens for `http --auth token`: `alice:a-long-random-text,bob:another-long-text`; names are for metrics and "
        "logs ([docs/remote.md](docs/remote.md))",
        guards=True,
        secret=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_STATE_URL",
        "state_url",
        readers.read_state_url,
        "`redis://host:6379/0` (also `rediss`, `valkey`, `valkeys`): what several replicas remember in common; "
        "needs the `redis` extra ([docs/deploy.md](docs/deploy.md))",
        guards=True,
        secret=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_STATE_STRICT",
        "state_strict",
        one_of(SWITCH, "1", "0"),
        "`1` refuses paid requests while the store of `EVOLINK_STATE_URL` is away; otherwise they go on, and say that "
        "they may repeat one",
        default="0",
        choices=("0", "1"),
        guards=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_LOG_LEVEL",
        "log_level",
        one_of(LEVELS, *LOG_LEVELS),
        "`DEBUG` … `CRITICAL`; logs go to stderr and never hold the key",
        default="INFO",
        choices=LOG_LEVELS,
    ),
)
BY_NAME: Mapping[str, Variable] = {variable.name: variable for variable in VARIABLES}


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
        meaning = variable.plain + (f" (default: {variable.default})" if variable.default else "")
        lines += textwrap.wrap(
            meaning, 108, initial_indent=f"  {variable.name:<{width}}", subsequent_indent=" " * (width + 2)
        )
    return "\n".join(lines)
