"""Facts of finished results: measured off the saved file, or off the few hundred kilobytes of a link that it takes.

Nothing here fails a call: what cannot be measured in time is unknown. Each result is measured once by all who wait for
it, and a measurement goes on when the call that started it has ended. An input's ends with its call.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

from evolink_mcp.gateway.values import as_number, as_object, as_text
from evolink_mcp.media.decoding import NoDecoder, Task, Undecodable, decode
from evolink_mcp.media.fetch import Fetcher, NotFetched
from evolink_mcp.media.folder import Folder
from evolink_mcp.media.kinds import EXTENSIONS, SNIFF_BYTES, index_of_mp4, sniff, sniff_file
from evolink_mcp.media.shares import Shares
from evolink_mcp.media.visits import Visits
from evolink_mcp.media.works import end_works

MAX_MEASURED = 20  # results of one task
MAX_REMEMBERED = 1_000  # results whose facts are kept
# For all callers, and for each: one takes a fifth of a second of a processor, and an answer is worth more than facts.
MAX_RUNNING, MAX_RUNNING_OF_OWNER = 20, 10
MAX_LINKS_AT_ONCE, MAX_LINKS_OF_OWNER = 4, 3
OURS = ""  # the owner of visits that no caller chose
MAX_LINK_SECONDS = 6.0
HEAD_BYTES = 256 * 1024
PIECE_BYTES = 256 * 1024  # the index of a film that has it elsewhere, or the end of a sound
# Of a result that is put together from its parts: on disk, some systems give a hole its whole size.
MAX_HOLE_BYTES = 1024**4 if hasattr(os, "memfd_create") else 2 * 1024**3
_INDEXED = frozenset({"video/mp4", "video/quicktime", "audio/mp4"})
_COUNTED_AT_THE_END = frozenset({"audio/ogg"})

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one result; ``None`` is unknown. ``bytes`` is its size."""

    mime_type: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    frame_rate: float | None = None
    has_audio: bool | None = None
    has_alpha: bool | None = None

    @classmethod
    def read(cls, value: object) -> Self:
        """Facts that were written down, by whomever: what is not of its type is unknown."""
        kept = as_object(value)
        mime_type = as_text(kept.get("mime_type"))
        whole = {name: _whole(kept.get(name)) for name in ("bytes", "width", "height")}
        numbers = {name: _positive(kept.get(name)) for name in ("duration_seconds", "frame_rate")}
        flags = {
            name: flag if isinstance(flag := kept.get(name), bool) else None for name in ("has_audio", "has_alpha")
        }
        return cls(mime_type if mime_type in EXTENSIONS else None, **whole, **numbers, **flags)

    def present(self) -> dict[str, Any]:
        """What is known, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


class Measurer:
    """Measures results, each once."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._shares = Shares(MAX_LINKS_AT_ONCE, MAX_LINKS_OF_OWNER)
        self._known: OrderedDict[str, Facts] = OrderedDict()
        self._running: dict[str, asyncio.Task[Facts | None]] = {}
        self._running_of: Counter[str] = Counter()
        self._visits = Visits()

    def recall(self, place: str | Path) -> Facts | None:
        """What was measured of a link, or of a file as it is now, without measuring it."""
        return self._known.get(_key(place))

    def keep(self, place: str | Path, facts: Facts) -> None:
        """Remembers facts that somebody measured; not of a file that has another size now."""
        with suppress(OSError):
            if isinstance(place, str) or facts.bytes == place.lstat().st_size:
                self._keep(_key(place), facts)

    def _keep(self, key: str, facts: Facts) -> None:
        self._known[key] = facts
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    async def measure(self, owner: str, places: Sequence[str | Path], *, seconds: float) -> list[Facts]:
        """The facts of an owner's links and files (by path), in order: of each what is known after ``seconds``."""
        works: list[asyncio.Task[Facts | None]] = []
        for place in places[:MAX_MEASURED]:
            key = _key(place)
            crowded = len(self._running) >= MAX_RUNNING or self._running_of[owner] >= MAX_RUNNING_OF_OWNER
            if key in self._running:
                works.append(self._running[key])
            elif key not in self._known and not crowded and not self._visits.has_failed(OURS, key):
                works.append(self._start(owner, key, place))
        if works:
            await asyncio.wait(works, timeout=seconds)
        return [self._known.get(_key(place), Facts()) for place in places]

    async def measure_input(self, owner: str, link: str, *, seconds: float) -> Facts:
        """The facts of an input behind a link that a caller gave: what is known after ``seconds``.

        It ends with the call, waits for no other, and is unknown at once where too many are looked at.
        """
        if (facts := self._known.get(link)) is not None:
            return facts
        with self._visits.place(owner, link) as is_free:
            if not is_free:
                return Facts()
            try:
                async with asyncio.timeout(seconds):
                    facts = await facts_of_link(self._fetcher, link, owner=owner, turn=self._visits.decoder)
            except (NotFetched, OSError, TimeoutError):
                self._visits.fail(owner, link)
                return Facts()
            except Exception:  # whatever it is, the request must reach the gateway
                logger.exception("An input could not be measured")
                return Facts()
            self._keep(link, facts)
            return facts

    async def aclose(self) -> None:
        """Ends the measurements under way."""
        await end_works(self._running.values())

    def _start(self, owner: str, key: str, place: str | Path) -> asyncio.Task[Facts | None]:
        work = self._running[key] = asyncio.create_task(self._measure(owner, key, place))
        self._running_of[owner] += 1

        def end(_: object) -> None:
            self._running.pop(key, None)
            self._running_of.subtract([owner])
            self._running_of += Counter()  # without those of whom there is none

        work.add_done_callback(end)
        return work

    async def _measure(self, owner: str, key: str, place: str | Path) -> Facts | None:
        try:
            if isinstance(place, Path):
                facts = await _of_file(place, owner)
            else:
                async with self._shares.place(owner), asyncio.timeout(MAX_LINK_SECONDS):
                    facts = await facts_of_link(self._fetcher, place, owner=owner)
        except (NotFetched, OSError, TimeoutError):
            self._visits.fail(OURS, key)
            return None
        except Exception:  # whatever it is, the links must reach the caller
            logger.exception("A result could not be measured")
            return None
        self._keep(key, facts)
        return facts


def _key(place: str | Path) -> str:
    """A link, or a file as it is now: one that is changed is another."""
    if isinstance(place, str):
        return place
    try:
        facts = place.lstat()
    except OSError:
        return str(place)
    return f"{place}:{facts.st_size}:{facts.st_mtime_ns}"


async def _of_file(path: Path, owner: str) -> Facts:
    with Folder.open(path.parent) as folder, folder.open_file(path.name) as file:
        return await _facts(file, "probe", os.fstat(file.fileno()).st_size, owner)


async def facts_of_link(
    fetcher: Fetcher, url: str, *, owner: str = "", turn: AbstractAsyncContextManager[object] | None = None
) -> Facts:
    """The facts of what a link holds, by its beginning and, where that does not tell, one more piece of it.

    Args:
        owner: For whom they are.
        turn: Held while a decoder is needed for a link that the owner gave; none for links that the gateway gave.

    Raises:
        NotFetched: With the reason.
    """
    caller, turn = owner if turn else "", turn or nullcontext()
    head = await fetcher.peek(url, start=0, size=HEAD_BYTES, caller=caller)
    with _scratch() as file:
        file.write(head.content)
        file.flush()
        total = head.total if head.total is not None else len(head.content)
        if total <= len(head.content):
            async with turn:
                return await _facts(file, "probe", head.total, owner)
        sparse = _Sparse(file, len(head.content), total)
        start = sparse.place_of_rest(sniff(head.content))
        if start is not None:
            piece = await fetcher.peek(url, start=start, size=PIECE_BYTES, caller=caller)
            sparse.add(start, piece.content)
        if total <= MAX_HOLE_BYTES:
            os.ftruncate(file.fileno(), total)
        async with turn:
            facts = await _facts(file, "glance", head.total, owner)
        return replace(
            facts,
            # A length may have been reckoned from what is here.
            duration_seconds=facts.duration_seconds if total <= MAX_HOLE_BYTES else None,
            has_audio=facts.has_audio if facts.has_audio or sparse.has_index() else None,
        )


class _Sparse:
    """A file of which the beginning is here, and perhaps one more piece, with a hole between them."""

    def __init__(self, file: BinaryIO, size: int, total: int) -> None:
        self._file = file
        self._total = total
        self._spans = [(0, size)]

    def place_of_rest(self, kind: str | None) -> int | None:
        """Where the piece begins that is missing to tell the facts; ``None`` where none is."""
        size = self._spans[0][1]
        start: int | None = None
        if kind in _INDEXED and (index := self._index()) is not None and index[1] > size:
            start = max(index[0], size)
        if kind in _COUNTED_AT_THE_END:
            start = max(self._total - PIECE_BYTES, size)
        return start if start is not None and start < self._total else None

    def add(self, start: int, content: bytes) -> None:
        self._file.seek(start)
        self._file.write(content)
        self._file.flush()
        self._spans.append((start, start + len(content)))

    def has_index(self) -> bool:
        """Whether nothing that names the tracks is missing; true of what has them at its beginning."""
        index = self._index()
        if index is None:
            return sniff(self._head()) not in _INDEXED
        end = index[0]
        for start, stop in self._spans:
            end = max(end, stop) if start <= end else end
        return end >= min(index[1], self._total)

    def _head(self) -> bytes:
        self._file.seek(0)
        return self._file.read(SNIFF_BYTES)

    def _index(self) -> tuple[int, int] | None:
        """Where the index of an MP4 begins and ends; one byte long where only its place is known."""
        start = index_of_mp4(self._file)
        if start is None:
            return None
        self._file.seek(start)
        head = self._file.read(8)
        return start, start + max(int.from_bytes(head[:4]) if head[4:] == b"moov" else 1, 1)


def _scratch() -> BinaryIO:
    """A file without a name, in memory where the system has such: a server's disk may be read-only."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("evolink-facts"), "w+b")
    return cast(BinaryIO, tempfile.TemporaryFile(prefix="evolink-facts-"))


async def _facts(file: BinaryIO, task: Task, size: int | None, owner: str) -> Facts:
    kind = sniff_file(file)
    if kind is None:
        return Facts(bytes=size)
    try:
        read: Mapping[str, Any] = as_object(json.loads(await decode(task, file, kind, owner=owner)))
    except (NoDecoder, Undecodable, ValueError):
        read = {}
    return Facts.read({**read, "duration_seconds": read.get("seconds"), "mime_type": kind, "bytes": size})


def _whole(value: object) -> int | None:
    number = _positive(value)
    return None if number is None else round(number)


def _positive(value: object) -> float | None:
    number = None if isinstance(value, bool) else as_number(value)
    return number if number is not None and number > 0 else None
