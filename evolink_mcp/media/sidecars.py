"""What was asked for, kept beside what came of it: one small JSON file per task.

The request is noted when the task is made, in a hidden folder, so that a later
process still knows the prompt; it becomes visible beside the first saved result.
A note that cannot be written is logged: pictures matter more.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from evolink_mcp.gateway import wire
from evolink_mcp.media.downloads import PARTIAL_SUFFIX, task_stem
from evolink_mcp.media.kinds import safe

REQUESTS_FOLDER = ".evolink"
MAX_REQUEST_AGE_SECONDS = 7 * 86_400.0  # links live a day; a request whose results nobody fetched is of no use later

logger = logging.getLogger(__name__)


def note_request(folder: Path, task: wire.Task, request: Mapping[str, object]) -> None:
    """Remembers what a new task was asked for: model, prompt and parameters, as the caller gave them."""
    try:
        pending = folder / REQUESTS_FOLDER
        pending.mkdir(parents=True, exist_ok=True)
        for old in pending.glob("*.json"):
            with suppress(FileNotFoundError):  # another process was faster
                if time.time() - old.stat().st_mtime > MAX_REQUEST_AGE_SECONDS:
                    old.unlink()
        _write(pending / f"{safe(task.id)}.json", dict(request))
    except OSError as error:
        logger.warning("The request of task %s could not be noted in %s: %s", task.id, folder, error.strerror or error)


def write_beside(folder: Path, task: wire.Task, saved: Sequence[Path]) -> None:
    """Writes ``{date}-{model}-{task}.json`` beside the saved results, or adds results that came later to it.

    It holds task_id, kind, model, prompt, parameters, created_at, saved_at and files;
    prompt and parameters only where this server, or one before it, made the task.
    """
    try:
        final, noted = folder / f"{task_stem(task)}.json", folder / REQUESTS_FOLDER / f"{safe(task.id)}.json"
        names = [path.name for path in saved]
        before = _read(final)
        if before.get("files") == names:
            return
        request = _read(noted)
        parameters = {name: value for name, value in request.items() if name not in ("model", "prompt")}
        facts: dict[str, Any] = {
            "task_id": task.id,
            "kind": task.kind,
            "model": task.model or request.get("model"),
            "prompt": request.get("prompt"),
            "parameters": parameters or None,
            "created_at": _iso(task.created),
            **before,
            "saved_at": _iso(time.time()),
            "files": names,
        }
        _write(final, {name: value for name, value in facts.items() if value is not None})
        noted.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("The note beside the results of %s could not be written: %s", task.id, error.strerror or error)


def forget_request(folder: Path, task: wire.Task) -> None:
    """Drops the note of a task that ended without results."""
    try:
        (folder / REQUESTS_FOLDER / f"{safe(task.id)}.json").unlink(missing_ok=True)
    except OSError as error:
        logger.warning("The note of task %s could not be removed: %s", task.id, error.strerror or error)


def _read(path: Path) -> dict[str, Any]:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _write(path: Path, facts: Mapping[str, object]) -> None:
    """Puts a whole file in place in one step."""
    partial = path.parent / f".{path.stem}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    try:
        with partial.open("x", encoding="utf-8") as file:
            json.dump(facts, file, ensure_ascii=False, indent=2)
            file.write("\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _iso(seconds: float | None) -> str | None:
    return None if not seconds else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
