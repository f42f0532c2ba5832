"""Downloads of results into the user's folder, before their links die.

A file gets its final name only when it is whole: it is written under a temporary name and linked into place, never over
another file. A second check finds the file of the first by the end of the task's id in its name. A download goes on
when the call that started it has ended, and the next call joins it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evolink_mcp.gateway import wire
from evolink_mcp.gateway.values import as_object
from evolink_mcp.media.fetch import Fetcher, NotFetched
from evolink_mcp.media.folder import PARTIAL_SUFFIX, Folder
from evolink_mcp.media.kinds import EXTENSIONS, sniff_file
from evolink_mcp.media.names import saved_name, task_stem
from evolink_mcp.media.works import end_works

MAX_RESULT_BYTES = 2 * 1024**3
MAX_DOWNLOADS = 4
MAX_SIDECAR_BYTES = 4 * 1024 * 1024
MAX_PARTIAL_AGE_SECONDS = 3600.0  # a partial file this old belongs to a process that was killed
_PARTIAL = re.compile(rf"\.(?:[0-9]{{8}}|undated)-[^/]+-[0-9a-f]{{8}}{re.escape(PARTIAL_SUFFIX)}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NotSaved:
    """Why a result is not saved, in a sentence. Its link is still good. ``in_progress``: it may be saved yet."""

    reason: str
    in_progress: bool = False

    def __str__(self) -> str:
        return self.reason


SaveOutcome = Path | NotSaved


@dataclass
class _Running:
    """One download under way."""

    work: asyncio.Task[SaveOutcome]
    started: bool = False
    size: int = 0

    def outcome(self) -> SaveOutcome:
        if self.work.cancelled():
            return NotSaved("this server is stopping")
        if self.work.done():
            return self.work.result()
        if not self.started:
            return NotSaved("it waits for other downloads; call check_task again later", in_progress=True)
        done = f"{self.size / 1e6:.1f} MB so far"
        return NotSaved(f"it is still being saved ({done}); call check_task again later", in_progress=True)


class Saver:
    """Saves results in one folder, each once."""

    def __init__(self, fetcher: Fetcher, folder: Path) -> None:
        self.folder = folder
        self._fetcher = fetcher
        self._running: dict[tuple[str, int], _Running] = {}
        self._free = asyncio.Semaphore(MAX_DOWNLOADS)
        self._swept = False

    async def save(self, task: wire.Task, *, seconds: float, prompt: str = "") -> list[SaveOutcome]:
        """Saves all results of a finished task: for each its path, or why there is none after ``seconds``.

        Names begin with the first words of ``prompt``, where it is known.
        """
        running = [
            self._running.get((task.id, number)) or self._start(task, number, prompt)
            for number in range(1, len(task.results) + 1)
        ]
        if running:
            await asyncio.wait([each.work for each in running], timeout=seconds)
        return [each.outcome() for each in running]

    async def aclose(self) -> None:
        """Cancels the downloads under way and removes their partial files."""
        await end_works(each.work for each in self._running.values())

    def _start(self, task: wire.Task, number: int, prompt: str) -> _Running:
        key = (task.id, number)
        running = self._running[key] = _Running(asyncio.create_task(self._save_one(task, number, prompt)))
        running.work.add_done_callback(lambda _: self._running.pop(key, None))
        return running

    async def _save_one(self, task: wire.Task, number: int, prompt: str) -> SaveOutcome:
        try:
            async with self._free:
                running = self._running[task.id, number]
                running.started = True
                with Folder.open(self.folder, create=True) as folder:
                    stem = task_stem(task, prompt)
                    is_taken = _is_of_another(folder, task, f"{stem}-{number}")
                    stem = f"{task_stem(task, prompt, whole_id=is_taken)}-{number}"
                    name = _existing(folder, task, number, stem)
                    return self.folder / (
                        name or await self._fetch(folder, stem, task.results[number - 1].url, running)
                    )
        except NotFetched as reason:
            return NotSaved(str(reason))
        except OSError as error:
            return NotSaved(f"{self.folder} cannot be written to ({error.strerror or error})")
        except Exception:  # whatever it is, the link must reach the caller
            # Not by its name, which holds words of the prompt.
            logger.exception("Result %d of task %s could not be saved", number, task.id)
            return NotSaved("this server failed; its log has the details")

    async def _fetch(self, folder: Folder, stem: str, url: str, running: _Running) -> str:
        self._sweep(folder)
        with folder.partial(stem) as (partial, file):

            def write(chunk: bytes) -> None:
                file.write(chunk)
                running.size += len(chunk)

            await self._fetcher.fetch(url, write, max_bytes=MAX_RESULT_BYTES)
            file.close()
            with folder.open_file(partial) as whole:
                mime_type = sniff_file(whole)
            if mime_type is None:
                raise NotFetched("its link holds no image, video or audio")
            final = f"{stem}.{EXTENSIONS[mime_type]}"
            folder.place(partial, final)
            return final

    def _sweep(self, folder: Folder) -> None:
        """Removes, once, what killed processes left half done."""
        if self._swept:
            return
        self._swept = True
        for name in filter(_PARTIAL.fullmatch, folder.names()):
            if folder.has_file(name, min_age_seconds=MAX_PARTIAL_AGE_SECONDS):
                folder.remove(name)


def _existing(folder: Folder, task: wire.Task, number: int, stem: str) -> str | None:
    """The file that an earlier check saved, whatever words are in its name."""
    likely = [f"{stem}.{extension}" for extension in EXTENSIONS.values()]  # a folder may not be listed
    if name := next(filter(folder.has_file, likely), None):
        return name
    names = filter(saved_name(task.id, number).fullmatch, folder.names())
    return next((name for name in names if folder.has_file(name) and not _is_of_another(folder, task, name)), None)


def _is_of_another(folder: Folder, task: wire.Task, name: str) -> bool:
    """Whether what lies beside a file names another task: ids of other makes may end alike."""
    with suppress(OSError, ValueError, RecursionError):
        sidecar: object = json.loads(folder.read(f"{name.rpartition('-')[0]}.json", max_bytes=MAX_SIDECAR_BYTES) or b"")
        return as_object(sidecar).get("task_id", task.id) != task.id
    return False
