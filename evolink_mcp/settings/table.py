"""Every variable that can be set: its name, type, default and meaning.

Reading, ``--help``, the README's table, the manifests and ``doctor`` are all made of this. A new setting is one row
here and one field of :class:`evolink_mcp.settings.Settings`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import get_args

from evolink_mcp.settings import readers
from evolink_mcp.settings.readers import LogLevel, one_of
from evolink_mcp.settings.remote import REMOTE
from evolink_mcp.settings.variable import SWITCH, Variable

API_KEY = "EVOLINK_API_KEY"
OUTPUT_DIR = "EVOLINK_OUTPUT_DIR"
UPLOAD_DIRS = "EVOLINK_UPLOAD_DIRS"
IMAGE_MODEL = "EVOLINK_IMAGE_MODEL"
VIDEO_MODEL = "EVOLINK_VIDEO_MODEL"
BASE_URL = "EVOLINK_BASE_URL"
FILES_URL = "EVOLINK_FILES_URL"
TEXT_URL = "EVOLINK_TEXT_URL"

LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
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
        "folders files may be uploaded from, beside the output folder, separated by `:` (`;` on Windows)",
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
        "EVOLINK_FAST_START",
        "fast_start",
        one_of(SWITCH, "on", "off"),
        "`off` neither keeps nor uses the first answers of the last start ([docs/performance.md](docs/performance.md))",
        default="on",
        choices=("on", "off"),
    ),
    Variable(
        "EVOLINK_MAX_CREDITS_PER_CALL",
        "max_credits_per_call",
        readers.read_credits,
        "refuses a call that is known to cost more ([docs/cost.md](docs/cost.md))",
        otherwise="no limit",
        guards=True,
    ),
    Variable(
        "EVOLINK_MAX_CREDITS_PER_DAY",
        "max_credits_per_day",
        readers.read_credits,
        "refuses what would pass this sum in a day (UTC) ([docs/cost.md](docs/cost.md))",
        otherwise="no limit",
        guards=True,
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
    *REMOTE,
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
