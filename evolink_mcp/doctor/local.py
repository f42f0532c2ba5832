"""Checks of this machine: versions, settings, folders, models, extras."""

from __future__ import annotations

import contextlib
import importlib.metadata as metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from evolink_mcp import __version__
from evolink_mcp.doctor.report import Check
from evolink_mcp.errors import KEYS_PAGE
from evolink_mcp.install.launch import PACKAGE, running
from evolink_mcp.jobs.file.database import state_file
from evolink_mcp.settings import Settings
from evolink_mcp.settings.placeholders import stand_in
from evolink_mcp.settings.readers import without_login
from evolink_mcp.settings.table import API_KEY, IMAGE_MODEL, VARIABLES, VIDEO_MODEL
from evolink_mcp.settings.variable import plain

LIBRARIES = ("mcp", "httpx2", "pydantic", "anyio")
TRIAL_BYTES = 64 * 1024
LITTLE_SPACE = 1024**3  # a long video has some hundred megabytes
MASK = "***"


def versions() -> Iterator[Check]:
    """What runs here, and how it is started."""
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    python = f"Python {platform.python_version()} on {platform.system()}"
    yield Check("version", "ok", f"evolink-mcp {__version__}, {python}; {libraries}")
    launch = running()
    command = " ".join((launch.command, *launch.args))
    yield Check("command", "note" if launch.note else "ok", command, launch.note)


def masked(key: str) -> str:
    """A key that its owner recognises and nobody can use."""
    return f"{key[:3]}{MASK}{key[-4:]}" if len(key) >= 16 else MASK


def variables(env: Mapping[str, str], entry: Mapping[str, str], client: str | None) -> Iterator[Check]:
    """Every variable and where it comes from: ``entry`` is what the file of ``client`` sets."""
    for variable in VARIABLES:
        value = env.get(variable.name, "").strip()
        if value:
            source = f"the entry of {client}" if variable.name in entry else "the environment"
            text = without_login(value) if "://" in value else value
            if variable.secret and not stand_in(value):
                text = masked(value) if variable.name == API_KEY else MASK  # others end with a password or a token
            yield Check(variable.name, "ok", f"{text} (from {source})")
        elif variable.name != API_KEY:
            default = plain(variable.default_text)
            yield Check(variable.name, "ok", f"{default} (default)" if default != "–" else "not set")


def ignored(settings: Settings) -> Iterator[Check]:
    """Variables whose value could not be used."""
    for each in settings.ignored:
        where = f"Set {each.name} where the client takes it from." if each.unfilled else f"Correct {each.name}."
        yield Check(each.name, "note" if each.unfilled else "wrong", f"{each.reason} It counts as not set.", where)


def key(settings: Settings) -> Check:
    """Whether there is a key at all. What the gateway says of it is asked apart."""
    if settings.api_key:
        return Check("key", "ok", f"{masked(settings.api_key)} is set")
    if settings.sandbox:
        return Check("key", "ok", "none, and the sandbox needs none")
    return Check(
        "key",
        "wrong",
        f"{settings.why_ignored(API_KEY) or f'{API_KEY} is not set.'} Everything but list_models needs it",
        f"Make a key at {KEYS_PAGE} and set {API_KEY} in the client's entry; if it is there already, see it with "
        "evolink-mcp doctor --client CLIENT. To try without a key: evolink-mcp demo.",
    )


def folders(settings: Settings) -> Iterator[Check]:
    """Whether results can be saved and files be read, and how much space there is."""
    if settings.output_dir is None:
        yield Check("output folder", "note", "not set: results are not saved", "Set EVOLINK_OUTPUT_DIR to keep them.")
    else:
        yield _output(settings.output_dir)
    if not settings.upload_dirs:
        yield Check("upload folders", "note", "none: local files are refused", "Set EVOLINK_UPLOAD_DIRS to open some.")
    for folder in settings.upload_dirs:
        if folder == settings.output_dir and not os.path.exists(folder):
            continue
        if os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK):
            yield Check("upload folder", "ok", f"{folder} can be read")
        else:
            yield Check(
                "upload folder", "wrong", f"{folder} cannot be read", "Correct EVOLINK_UPLOAD_DIRS or the folder."
            )


def _output(folder: Path) -> Check:
    existing = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    if problem := _problem_of_writing(existing):
        advice = "Choose another folder, or make space."
        return Check("output folder", "wrong", f"{folder} cannot be written ({problem})", advice)
    free = shutil.disk_usage(existing).free
    state = f"{folder} can be {'written' if existing == folder else 'made'}; {free / 1024**3:,.1f} GB free"
    if free < LITTLE_SPACE:
        return Check("output folder", "note", state, "Make space: one long video can take some hundred megabytes.")
    return Check("output folder", "ok", state)


def _problem_of_writing(folder: Path) -> str:
    """Why a folder takes no new file with something in it; "" where it does. Nothing is left there."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".evolink-doctor-") as file:
            file.write(bytes(TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def models(settings: Settings) -> Iterator[Check]:
    """Whether the registry, the operator's overlay and the chosen models go together."""
    from evolink_mcp.registry import load

    registry = load(settings.models_file, allow_unlisted=settings.allow_unlisted_models)
    yield Check("models", "ok", f"{len(registry.models)} known")
    for problem in registry.overlay_problems:
        yield Check("models file", "wrong", problem, "Correct the file that EVOLINK_MODELS_FILE names.")
    for kind, variable, chosen in (
        ("image", IMAGE_MODEL, settings.image_model),
        ("video", VIDEO_MODEL, settings.video_model),
    ):
        name = chosen or registry.defaults[kind]
        entry = registry.get(registry.spelled(name))
        if entry is None:
            near = ", ".join(registry.nearest(name))
            yield Check("default model", "wrong", f"{name[:60]!r} is not known", f"The nearest names are {near}.")
        elif entry.superseded_by:
            text = f"{name} for {kind}s still works; {entry.superseded_by} supersedes it"
            yield Check("default model", "ok", text, f"To change it, set {variable}={entry.superseded_by}.")


def history(settings: Settings) -> Check:
    """Whether tasks submitted here are found again. The file is read, never made or changed; another is made beside it
    for a moment, for a full disk lets everything be read."""
    if settings.history is False or settings.sandbox:
        return Check("history", "ok", "off: what is submitted here is not remembered beyond the process")
    try:
        path = state_file()
    except FileNotFoundError as error:
        return Check("history", "note", f"nothing is remembered: {error}", "Set HOME or XDG_STATE_HOME to have it.")
    if not os.path.exists(path):
        existing = next(place for place in path.parents if os.path.exists(place))
        if problem := _problem_of_writing(existing):
            finding = f"nothing is remembered: {existing} cannot be written ({problem})"
            return Check("history", "note", finding, f"Make {path.parent}, or make space.")
        return Check("history", "ok", f"{path} is made with the first task")
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            (number,) = connection.execute("SELECT count(*) FROM tasks").fetchone()
    except sqlite3.Error as error:
        advice = f"Move {path} away; a new one is begun. A damaged one is renamed by the server itself."
        return Check("history", "note", f"{path} cannot be read ({error})", advice)
    if not os.access(path, os.W_OK):
        return Check("history", "note", f"{path} cannot be written", "Correct the rights of the file and its folder.")
    if problem := _problem_of_writing(path.parent):
        finding = f"{path} remembers {number:,} tasks, and cannot be written ({problem})"
        return Check("history", "note", finding, "Make space, or correct the rights of its folder.")
    return Check("history", "ok", f"{path} remembers {number:,} tasks (over stdio)")


def extras() -> Iterator[Check]:
    """What is optional, and whether it is installed."""
    requirements: dict[str, list[str]] = {}
    for line in metadata.requires(PACKAGE) or []:
        match = re.match(r"([\w.-]+).*;.*extra == ['\"]([\w-]+)['\"]", line)
        if match and match[2] != "dev" and match[1] != PACKAGE:
            requirements.setdefault(match[2], []).append(match[1])
    for extra, names in requirements.items():
        missing = [name for name in names if not _installed(name)]
        how = f"To have it: {Path(sys.executable).name} -m pip install 'evolink-mcp[{extra}]'."
        yield Check(f"extra {extra}", "ok", f"not installed ({', '.join(missing)}); {how}" if missing else "installed")


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
