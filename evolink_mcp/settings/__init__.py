"""The environment, read once.

Here lives what the operator decided. Every variable is a row of :mod:`evolink_mcp.settings.table`, whose type is a
function of :mod:`evolink_mcp.settings.readers`. A missing key is not a problem: the tools say it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from evolink_mcp.errors import SettingsError
from evolink_mcp.settings.placeholders import Unfilled
from evolink_mcp.settings.places import Bucket, home_folder, working_directory
from evolink_mcp.settings.readers import (
    TOOLSETS,
    LogLevel,
    Partial,
    Token,
    Toolset,
    is_loopback,
    parse_toolsets,
)
from evolink_mcp.settings.table import API_KEY, BASE_URL, BY_NAME, FILES_URL, TEXT_URL, VARIABLES, Variable

if TYPE_CHECKING:
    from evolink_mcp.settings.claims import Condition

logger = logging.getLogger(__name__)

# White space, byte order marks, joiners and direction marks, which no value begins or ends with on purpose.
_EDGES = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff\u2060" + "".join(
    map(chr, (*range(0x2000, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
)

__all__ = [
    "API_KEY",
    "TOOLSETS",
    "Ignored",
    "LogLevel",
    "Settings",
    "Token",
    "Toolset",
    "is_loopback",
    "parse_toolsets",
    "read_settings",
    "warn_of_ignored",
]


@dataclass(frozen=True)
class Ignored:
    """A value that could not be used, so that its variable counts as not set.

    ``reason`` is a sentence that begins with the variable's name. ``unfilled``: only a placeholder was there.
    """

    name: str
    reason: str
    unfilled: bool


@dataclass(frozen=True)
class Settings:
    """What the operator decided.

    ``image_model`` and ``video_model`` are ``None`` where the registry's own
    default holds. ``output_dir`` is ``None`` where results are not saved.
    ``read_only`` leaves out every tool that spends or changes something. ``history`` is
    ``None`` where the operator did not decide: then it is kept over stdio only.
    ``ignored`` are the variables that hold something unusable.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str = BY_NAME[BASE_URL].default
    files_url: str = BY_NAME[FILES_URL].default
    text_url: str = BY_NAME[TEXT_URL].default
    image_model: str | None = None
    video_model: str | None = None
    output_dir: Path | None = None
    upload_dirs: tuple[Path, ...] = ()
    models_file: Path | None = None
    allow_unlisted_models: bool = False
    toolsets: tuple[Toolset, ...] = ("media",)
    read_only: bool = False
    history: bool | None = None
    fast_start: bool = True
    result_links: bool = False
    fake_ip: bool = False
    sandbox: bool = False
    callback_url: str | None = None
    state_url: str | None = field(default=None, repr=False)  # may hold a password
    state_strict: bool = False
    max_credits_per_call: float | None = None
    max_credits_per_day: float | None = None
    log_level: LogLevel = "INFO"
    mcp_tokens: tuple[Token, ...] = ()
    oauth_issuer: str | None = None
    oauth_audiences: tuple[str, ...] = ()
    oauth_scopes: tuple[str, ...] = ()
    oauth_allow: tuple[Condition, ...] = ()
    oauth_client: tuple[str, str] | None = field(default=None, repr=False)
    oauth_name: str = ""
    keys_file: Path | None = None
    keep_dir: Path | Bucket | None = None
    keep_days: float = 30.0
    keep_gb: float = 50.0
    keep_gb_each: float = 5.0
    ignored: tuple[Ignored, ...] = field(default=(), compare=False)

    @property
    def allow_loopback(self) -> bool:
        """Whether links on this machine may be used: only where the gateway itself is on it."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    def why_ignored(self, name: str) -> str:
        """Why the variable ``name`` counts as not set, in a sentence; "" where its value was used or there is none."""
        return next((each.reason for each in self.ignored if each.name == name), "")


def read_settings(
    environ: Mapping[str, str] | None = None, *, cwd: Path | None = None, strict: bool = False
) -> Settings:
    """Reads the settings out of ``environ`` (default: the process's own).

    A value that cannot be used counts as not set where the default is safe, and is an error where it is not. With
    ``strict``, for an operator who reads errors, every wrong value is one; unfilled placeholders only where they guard.

    Raises:
        SettingsError: With every problem, each naming its variable.
    """
    env = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    ignored: list[Ignored] = []
    for variable in VARIABLES:
        value = _text(env, variable)
        try:
            if value:
                values[variable.field] = variable.read(value, env)
        except ValueError as error:
            reason, unfilled = f"{variable.name} {error}", isinstance(error, Unfilled)
            not_set = isinstance(error, Unfilled) and error.whole
            if (variable.guards or not unfilled) if strict else (variable.guards and not not_set):
                problems.append(reason)
            else:
                ignored.append(Ignored(variable.name, reason, unfilled))
            if isinstance(error, Partial) and error.usable is not None:
                values[variable.field] = error.usable
    if problems:
        raise SettingsError(problems)
    output_dir: Path | None = values.get("output_dir")
    if values.get("upload_dirs") and output_dir is not None and not _is_wide(output_dir):
        # What was made here is an input for what comes next; nothing lies there that was not written by this server or
        # put beside it on purpose.
        values["upload_dirs"] = tuple(dict.fromkeys((*values["upload_dirs"], output_dir)))
    if "upload_dirs" not in values:
        values["upload_dirs"] = _default_upload_dirs(output_dir, cwd or working_directory())
    return Settings(**values, ignored=tuple(ignored))


def warn_of_ignored(settings: Settings) -> None:
    """Logs every value that could not be used, so that whoever set it learns of it."""
    for each in settings.ignored:
        logger.warning("%s It counts as not set.", each.reason)


def _text(env: Mapping[str, str], variable: Variable) -> str:
    """The variable's value without what pasting and env files leave around it: marks that cannot be seen, the
    variable's own name, quotation marks. A key's quotation marks are judged apart."""
    value = env.get(variable.name, "").strip(_EDGES)
    value = value.removeprefix("export ").lstrip().removeprefix(f"{variable.name}=").strip() if "=" in value else value
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1].strip() if quoted and variable.name != API_KEY else value


def _default_upload_dirs(output_dir: Path | None, cwd: Path | None) -> tuple[Path, ...]:
    """The working directory and the output folder.

    The working directory does not count where it is the root, the home folder itself
    or one above it: hosts start servers there, and nobody meant to open all of it.
    """
    folders = (None if cwd is None or _is_wide(cwd) else cwd, output_dir)
    return tuple(dict.fromkeys(folder for folder in folders if folder is not None))


def _is_wide(folder: Path) -> bool:
    """Whether a folder is the root, the home folder itself or one above it."""
    home = home_folder()
    above_home = home is not None and home.resolve().is_relative_to(folder.resolve())
    return above_home or folder.resolve() == Path(folder.anchor)
