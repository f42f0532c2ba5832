"""The environment, read once.

What each is for stands in :mod:`evolink_mcp.environment`; one :class:`SettingsError` lists
all problems together. A missing key is not a problem: the tools say it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from evolink_mcp.errors import SettingsError

API_URL = "https://api.evolink.ai"  # S0, S1
FILES_URL = "https://files-api.evolink.ai"  # S1
TEXT_URL = "https://direct.evolink.ai"  # S0
IMAGE_MODEL_VARIABLE = "EVOLINK_IMAGE_MODEL"
VIDEO_MODEL_VARIABLE = "EVOLINK_VIDEO_MODEL"
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
Toolset = Literal["media", "text", "account"]
TOOLSETS: tuple[Toolset, ...] = get_args(Toolset)
ALL = "all"
STATE_SCHEMES = ("redis", "rediss", "valkey", "valkeys")
# What a client leaves where it has no value to put in: the same as nothing.
PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")
LEAST_TOKEN = 16  # characters: guessing a shorter one would spend the operator's credits
YES = ("1", "true", "yes", "on")
NO = ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Token:
    """A token that callers present: the SHA-256 of it, and what its callers are called ("" where it has no name)."""

    digest: str = field(repr=False)
    name: str = ""


@dataclass(frozen=True)
class Settings:
    """What the operator decided.

    ``image_model`` and ``video_model`` are ``None`` where the registry's own
    default holds. ``output_dir`` is ``None`` where results are not saved.
    ``read_only`` leaves out every tool that spends or changes something. ``history`` is
    ``None`` where the operator did not decide: then it is kept over stdio only.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str = API_URL
    files_url: str = FILES_URL
    text_url: str = TEXT_URL
    image_model: str | None = None
    video_model: str | None = None
    output_dir: Path | None = None
    upload_dirs: tuple[Path, ...] = ()
    models_file: Path | None = None
    allow_unlisted_models: bool = False
    toolsets: tuple[Toolset, ...] = ("media",)
    read_only: bool = False
    history: bool | None = None
    sandbox: bool = False
    state_url: str | None = field(default=None, repr=False)  # may hold a password
    log_level: LogLevel = "INFO"
    mcp_tokens: tuple[Token, ...] = ()

    @property
    def allow_loopback(self) -> bool:
        """Whether links on this machine may be used: only where the gateway itself is on it."""
        return is_loopback(urlsplit(self.base_url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host, as written, is this machine."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_toolsets(text: str) -> tuple[Toolset, ...]:
    """The toolsets in a list with commas, in their own order; ``all`` is every one of them.

    Raises:
        ValueError: A name is none of them, or there is no name; the message lists them.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in (*TOOLSETS, ALL)]
    if unknown or not names:
        raise ValueError(f"must name some of {', '.join((*TOOLSETS, ALL))}, separated by commas; it is {text[:60]!r}.")
    return tuple(each for each in TOOLSETS if each in names or ALL in names)


def read_settings(environ: Mapping[str, str] | None = None, *, cwd: Path | None = None) -> Settings:
    """Reads the settings out of ``environ`` (default: the process's own).

    Raises:
        SettingsError: With every problem found, each naming its variable.
    """
    env = os.environ if environ is None else environ
    problems: list[str] = []

    def text(name: str, default: str = "") -> str:
        value = env.get(name, "").strip()
        return default if PLACEHOLDER.fullmatch(value) else value or default

    def url(name: str, default: str) -> str:
        value = text(name, default).rstrip("/")
        problem = _url_problem(value)
        if problem:
            problems.append(f"{name} {problem}")
        return value

    def choice(name: str, allowed: tuple[str, ...], default: str) -> str:
        value = text(name, default)
        if value not in allowed:
            problems.append(f"{name} must be one of {', '.join(allowed)}; it is {value[:40]!r}.")
        return value

    def flag(name: str, expected: str = "1 or 0") -> bool:
        value = text(name).lower()
        if value not in YES + NO:
            problems.append(f"{name} must be {expected}; it is {value[:40]!r}.")
        return value in YES

    def toolsets(name: str) -> tuple[Toolset, ...]:
        try:
            return parse_toolsets(text(name, "media"))
        except ValueError as error:
            problems.append(f"{name} {error}")
            return ()

    api_key = text("EVOLINK_API_KEY") or None
    if api_key and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        problems.append("EVOLINK_API_KEY holds characters that no key has (spaces, line ends or non-ASCII).")

    def path(name: str, value: str) -> Path | None:
        try:
            return Path(value).expanduser().absolute() if value else None
        except (RuntimeError, OSError) as error:
            problems.append(f"{name} holds a path that cannot be used: {value[:60]!r} ({error}).")
            return None

    def state_url() -> str | None:
        value = text("EVOLINK_STATE_URL")
        problem = _state_url_problem(value) if value else ""
        if problem:
            problems.append(f"EVOLINK_STATE_URL {problem}")
        return value or None

    output_dir = path("EVOLINK_OUTPUT_DIR", text("EVOLINK_OUTPUT_DIR"))
    listed = [path("EVOLINK_UPLOAD_DIRS", each.strip()) for each in text("EVOLINK_UPLOAD_DIRS").split(os.pathsep)]
    settings = Settings(
        api_key=api_key,
        base_url=url("EVOLINK_BASE_URL", API_URL),
        files_url=url("EVOLINK_FILES_URL", FILES_URL),
        text_url=url("EVOLINK_TEXT_URL", TEXT_URL),
        image_model=text(IMAGE_MODEL_VARIABLE) or None,
        video_model=text(VIDEO_MODEL_VARIABLE) or None,
        output_dir=output_dir,
        upload_dirs=_upload_dirs([each for each in listed if each], output_dir, cwd or _working_directory()),
        models_file=path("EVOLINK_MODELS_FILE", text("EVOLINK_MODELS_FILE")),
        allow_unlisted_models=choice("EVOLINK_UNLISTED_MODELS", ("refuse", "allow"), "refuse") == "allow",
        toolsets=toolsets("EVOLINK_TOOLSETS"),
        history=flag("EVOLINK_HISTORY", "on or off") if text("EVOLINK_HISTORY") else None,
        sandbox=flag("EVOLINK_SANDBOX"),
        state_url=state_url(),
        log_level=cast("LogLevel", choice("EVOLINK_LOG_LEVEL", LOG_LEVELS, "INFO")),
        mcp_tokens=_tokens(text("EVOLINK_MCP_TOKENS"), problems),
    )
    if problems:
        raise SettingsError(problems)
    return settings


def _tokens(listed: str, problems: list[str]) -> tuple[Token, ...]:
    """The tokens of ``name:token,token,…``, hashed. What is wrong with one is said without showing it."""
    tokens: list[Token] = []
    for number, each in enumerate((part.strip() for part in listed.split(",")), start=1):
        name, _, token = each.rpartition(":")
        if not each:
            continue
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            problems.append(f"EVOLINK_MCP_TOKENS: entry {number} has no token of visible ASCII characters.")
        elif len(token) < LEAST_TOKEN:
            problems.append(f"EVOLINK_MCP_TOKENS: the token of entry {number} has less than {LEAST_TOKEN} characters.")
        elif name and not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name):
            problems.append(
                f"EVOLINK_MCP_TOKENS: the name of entry {number} may hold 1 to 40 letters, digits, _, . and -."
            )
        else:
            tokens.append(Token(hashlib.sha256(token.encode()).hexdigest(), name))
    return tuple(tokens)


def _url_problem(value: str) -> str:
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        _ = parts.port  # raises where the port is no number
    except ValueError:
        return f"is not a URL: {value[:60]!r}."
    if parts.username or parts.password:
        return "must not hold a user name or password."
    if parts.query or parts.fragment:
        return "must end before any ? or #."
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        return f"must be an https:// URL (http:// on this machine only); it is {value[:60]!r}."
    return ""


def _state_url_problem(value: str) -> str:
    """What is wrong with the address of shared state. Never shows it: it may hold a password."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port  # raises where the port is no number
    except ValueError:
        return "is not a URL."
    if parts.scheme not in STATE_SCHEMES or not host:
        return f"must be a URL like redis://host:6379/0 (schemes: {', '.join(STATE_SCHEMES)})."
    if not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        return "must name the database by its number (redis://host:6379/0)."
    if importlib.util.find_spec("redis") is None:
        return "needs the redis extra, which is not installed: pip install 'evolink-mcp[redis]'."
    return ""


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was deleted
        return None


def _upload_dirs(listed: list[Path], output_dir: Path | None, cwd: Path | None) -> tuple[Path, ...]:
    """The folders files may be uploaded from: as listed, else the working directory.

    The working directory does not count where it is the root, the home folder itself
    or one above it: hosts start servers there, and nobody meant to open all of it.
    """
    if not listed:
        home = Path(os.path.expanduser("~")).resolve()
        usable = cwd is not None and not home.is_relative_to(cwd.resolve()) and cwd.resolve() != Path(cwd.anchor)
        listed = [folder for folder in (cwd if usable else None, output_dir) if folder is not None]
    return tuple(dict.fromkeys(listed))
