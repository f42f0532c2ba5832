"""Folders and files as settings name them: placeholders, ``~``, quotes and ``file:`` links included."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from evolink_mcp.settings.placeholders import QUOTES, Unfilled, fill_in, unfilled

WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\[^\\]")
BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){0,8})/?", re.ASCII)
BUCKET_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
WINDOWS_STYLE = re.compile(r"%[A-Za-z_][\w()]*%|~\\|\$env:", re.IGNORECASE)

NO_PLACE = frozenset("none off 0 false no disable disabled".split())  # what is written where no folder is meant


@dataclass(frozen=True)
class Bucket:
    """A place in an S3 bucket. ``prefix`` is how its objects' names begin, without slashes at the ends."""

    name: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.name}" + f"/{self.prefix}" * bool(self.prefix)


def read_bucket(value: str) -> Bucket:
    """The place that ``s3://BUCKET/PREFIX`` names. What is wrong with it is said without showing it.

    Raises:
        ValueError: It names none, or the client is not installed.
    """
    match = BUCKET.fullmatch(value)
    if match is None:
        raise ValueError(
            "must be s3://BUCKET/PREFIX, of letters, digits, dots, _ and -; AWS_ variables name keys and endpoint."
        )
    if importlib.util.find_spec("obstore") is None:
        raise ValueError("needs the s3 extra, which is not installed: pip install 'evolink-mcp[s3]'.")
    return Bucket(match[1], match[2].strip("/"))


def bucket_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be shown of the client's credentials."""
    return tuple(environ[name] for name in BUCKET_SECRETS if environ.get(name))


def home_folder() -> Path | None:
    """The user's home folder; ``None`` where there is neither a variable nor an account that names one."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def working_directory() -> Path | None:
    """The working directory; ``None`` where it was deleted or may not be seen."""
    try:
        return Path.cwd()
    except OSError:
        return None


def names_no_place(value: str) -> bool:
    """Whether ``value`` says that no folder is meant, and no folder of that name is there."""
    return value.lower() in NO_PLACE and not os.path.lexists(value)


def read_path(value: str, environ: Mapping[str, str], *, windows: bool = os.name == "nt") -> Path:
    """The absolute path that ``value`` means on this machine.

    Raises:
        Unfilled: A placeholder is left in it, and no such path is there.
        ValueError: It names no place on this machine.
    """
    text = _local(value)
    if not windows and "\\ " in text and not os.path.lexists(text):
        text = text.replace("\\ ", " ")  # as a shell has it written
    filled = fill_in(text, environ, home_folder())
    if (filled[0] in QUOTES or filled[-1] in QUOTES) and not os.path.lexists(filled):
        raise ValueError(f"has a quotation mark at one end: {value[:60]!r}.")
    placeholder = unfilled(filled)
    if placeholder and not os.path.lexists(filled):
        raise Unfilled(placeholder)
    if not windows and WINDOWS_PATH.match(filled):
        raise ValueError(f"holds a Windows path, which means nothing here: {value[:60]!r}.")
    if not windows and WINDOWS_STYLE.match(text):
        filled = filled.replace("\\", "/")
    try:
        return Path(filled).expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise ValueError(f"holds a path that cannot be used: {value[:60]!r} ({error}).") from None


def _local(value: str) -> str:
    """The path in a ``file:`` link; any other value as it is.

    Raises:
        ValueError: The link names another machine.
    """
    if not value.lower().startswith("file:"):
        return value
    from urllib.request import url2pathname  # it loads an HTTP client of its own

    parts = urlsplit(value)
    if parts.netloc.lower() not in ("", "localhost"):
        raise ValueError(f"holds a link to another machine: {value[:60]!r}.")
    return url2pathname(parts.path) if not parts.path.startswith("/~") else unquote(parts.path[1:])
