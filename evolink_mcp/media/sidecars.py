"""What was asked for, kept beside what came of it: one small JSON file per task.

The request is noted when the task is made, in a hidden folder, so that a later
process still knows the prompt; it becomes visible beside the first saved result.
A note that cannot be written is logged: pictures matter more.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from evolink_mcp.gateway import wire
from evolink_mcp.gateway.values import as_list
from evolink_mcp.media.folder import PARTIAL_SUFFIX, Folder
from evolink_mcp.media.kinds import safe
from evolink_mcp.media.names import sidecar_name

REQUESTS_FOLDER = ".evolink"
MAX_REQUEST_AGE_SECONDS = 7 * 86_400.0  # links live a day; a request whose results nobody fetched is of no use later
MAX_NOTE_BYTES = 4 * 1024 * 1024
_NOTE = re.compile(r"request-[A-Za-z0-9._-]+\.json")
_PARTIAL = re.compile(rf"\.request-[A-Za-z0-9._-]+-[0-9a-f]{{8}}{re.escape(PARTIAL_SUFFIX)}")

logger = logging.getLogger(__name__)


def note_request(path: Path, task: wire.Task, request: Mapping[str, object]) -> None:
    """Remembers what a new task was asked for: model, prompt and parameters, as the caller gave them."""
    try:
        with Folder.open(path, create=True) as folder, folder.subfolder(REQUESTS_FOLDER, create=True) as requests:
            for name in filter(_is_ours, requests.names()):
                old = requests.has_file(name, min_age_seconds=MAX_REQUEST_AGE_SECONDS)
                if old and (name.endswith(PARTIAL_SUFFIX) or _read(requests, name)):
                    requests.remove(name)
            _write(requests, _note_stem(task), dict(request))
    except OSError as error:
        logger.warning("The request of task %s could not be noted in %s: %s", task.id, path, _reason(error))


def recall(path: Path, task: wire.Task) -> dict[str, Any]:
    """What was kept of a task in the folder: beside its results, or else the note of its request. Empty where nothing
    was. ``prompt`` and ``parameters`` are what was asked for, ``facts`` what was measured, by file."""
    try:
        with Folder.open(path) as folder:
            for name in filter(sidecar_name(task.id).fullmatch, folder.names()):
                if (kept := _read(folder, name)).get("task_id") == task.id:
                    return kept
            request = _noted_request(folder, task)
            return {"prompt": request.get("prompt"), "parameters": _parameters(request), "model": request.get("model")}
    except OSError:
        return {}


def write_beside(path: Path, task: wire.Task, saved: Sequence[Path], facts: Mapping[str, object]) -> None:
    """Writes a JSON file beside the saved results, named like them, or adds what came later to it.

    It holds task_id, kind, model, prompt, parameters, created_at, saved_at, files and facts (by file);
    prompt and parameters only where this server, or one before it, made the task.
    """
    try:
        with Folder.open(path) as folder:
            stem, names = saved[0].stem.rpartition("-")[0], [each.name for each in saved]
            before = _read(folder, f"{stem}.json")
            if before.get("files") == names and before.get("facts", {}) == facts:
                return
            if folder.has_file(f"{stem}.json") and before.get("task_id") != task.id:
                raise FileExistsError(errno.EEXIST, "a file of its name is there already and is not ours")
            request = _noted_request(folder, task)
            _write(folder, stem, {**_facts(task, request, before, names), **({"facts": facts} if facts else {})})
            with suppress(OSError):  # its folder is none of ours
                _drop_request(folder, task)
    except OSError as error:
        logger.warning("The note beside the results of %s could not be written: %s", task.id, _reason(error))


def saved_files(path: Path, task_id: str) -> list[str]:
    """The files that exist and that a note names for this task; whatever goes wrong, none."""
    try:
        with Folder.open(path) as folder:
            end = safe(task_id)[-8:]
            for name in (each for each in folder.names() if each.endswith(".json") and end in each):
                facts = _read(folder, name)
                if facts.get("task_id") == task_id:
                    files = as_list(facts.get("files"))
                    return [str(path / each) for each in files if isinstance(each, str) and folder.has_file(each)]
    except OSError:
        pass
    return []


def forget_request(path: Path, task: wire.Task) -> None:
    """Drops the note of a task that ended without results."""
    try:
        with Folder.open(path) as folder:
            _drop_request(folder, task)
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning("The note of task %s could not be removed: %s", task.id, _reason(error))


def _facts(
    task: wire.Task, request: Mapping[str, Any], before: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "task_id": task.id,
        "kind": task.kind,
        "model": task.model or request.get("model"),
        "prompt": request.get("prompt"),
        "parameters": _parameters(request),
        "created_at": _iso(task.created),
        **before,
        "saved_at": _iso(time.time()),
        "files": names,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _parameters(request: Mapping[str, Any]) -> dict[str, Any] | None:
    return {name: value for name, value in request.items() if name not in ("model", "prompt")} or None


def _is_ours(name: str) -> bool:
    return bool(_NOTE.fullmatch(name) or _PARTIAL.fullmatch(name))


def _note_stem(task: wire.Task) -> str:
    return f"request-{safe(task.id)}"


def _noted_request(folder: Folder, task: wire.Task) -> dict[str, Any]:
    try:
        with folder.subfolder(REQUESTS_FOLDER) as requests:
            return _read(requests, f"{_note_stem(task)}.json")
    except OSError:  # none was made, or it is no folder of ours
        return {}


def _drop_request(folder: Folder, task: wire.Task) -> None:
    with suppress(FileNotFoundError), folder.subfolder(REQUESTS_FOLDER) as requests:
        requests.remove(f"{_note_stem(task)}.json")


def _read(folder: Folder, name: str) -> dict[str, Any]:
    """The JSON object that a file holds; empty where it is none."""
    try:
        content: object = json.loads(folder.read(name, max_bytes=MAX_NOTE_BYTES) or b"")
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _write(folder: Folder, stem: str, facts: Mapping[str, object]) -> None:
    """Puts a whole file in place in one step."""
    # What cannot be encoded is escaped as JSON escapes it: a path may hold bytes that are no text.
    text = json.dumps(facts, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace")
    with folder.partial(stem) as (partial, file):
        file.write(text + b"\n")
        file.close()
        folder.replace(partial, f"{stem}.json")


def _reason(error: OSError) -> str:
    """Why the system said no, in its own words: others may name a file, and so quote a prompt."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _iso(seconds: float | None) -> str | None:
    return None if not seconds else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
