"""An S3 bucket where results are kept: ``PREFIX/OWNER/TASK/TASK-NUMBER.png``. Needs the ``s3`` extra."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError

from evolink_mcp.media.bucket_draft import BucketDraft
from evolink_mcp.media.bucket_object import OpenObject
from evolink_mcp.media.buckets import Patience, open_bucket, pages_of, path_of, working
from evolink_mcp.media.past import NEVER, Past
from evolink_mcp.media.shelf import (
    NAME,
    OWNER,
    SECRET,
    Away,
    Bounds,
    Copy,
    in_order,
    new_secret,
    read_secret,
    stem_of,
)
from evolink_mcp.media.stock import Promise, Stock
from evolink_mcp.settings.places import Bucket

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

CHECK = "evolink-check"  # an empty object that is written and removed to try the bucket
MAX_CHECK_AGE_SECONDS = 3600.0  # one this old belongs to a process that was killed
ANSWER_SECONDS = 2.5  # for a call to hear what is kept
FIND_SECONDS = 10.0  # for what is kept of many tasks
START_SECONDS = 10.0
STEP_SECONDS = 60.0  # for a page of a list, or a removal
ROOM_SECONDS = 60.0  # for others to be there, where they fill what may be kept
COUNT_SECONDS = 600.0  # between two counts of everything there is
SECRET_SECONDS = 60.0  # a secret that was removed is good for so long
MAX_LISTS = 8  # at once, of one call
_CHECK = re.compile(rf"{CHECK}-[0-9a-f]{{8}}")


class BucketShelf:
    """The bucket. ``place`` says which; ``store`` is the client's, by default that of the environment.

    Raises:
        ShelfError: The client's settings cannot be used.
    """

    def __init__(
        self,
        place: Bucket,
        bounds: Bounds,
        now: Callable[[], float] = time.time,
        store: ObjectStore | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bounds = bounds
        self.stock = Stock(bounds)
        self.store = store if store is not None else open_bucket(place)
        self.now = now
        self._past = Past(now, monotonic)
        self._place = place
        self._patience = Patience()
        self._secret: tuple[float, bytes] | None = None
        self._counted_at = -COUNT_SECONDS
        self._lock = asyncio.Lock()
        self._settled = asyncio.Event()

    def __str__(self) -> str:
        return str(self._place)

    def asking(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Asks the bucket a short question inside the block: what it says comes as ``OSError``, in our words."""
        return self._patience.asking(seconds)

    def prepare(self) -> None:
        """Tries whether objects can be listed, written, removed and read, and makes the secret."""
        with ThreadPoolExecutor(1) as pool:  # a loop that runs here must not go on before this is known
            pool.submit(asyncio.run, self._prepare()).result()

    async def _prepare(self) -> None:
        await self.probe(START_SECONDS)
        async with working(START_SECONDS):
            await self._read_secret()

    async def probe(self, seconds: float) -> None:
        """Tries whether objects can be listed, written, read and removed, and leaves none behind.

        Raises:
            OSError: The bucket says no.
        """
        check = f"{CHECK}-{secrets.token_hex(4)}"
        async with working(seconds):
            await pages_of(self.store, CHECK).collect_async()
            await obstore.put_async(self.store, check, b"")
            try:
                answer = await obstore.get_async(self.store, check)
                await answer.bytes_async()
                self._past.begin(answer.meta["last_modified"].timestamp())  # the bucket's own clock
            finally:
                await obstore.delete_async(self.store, [check])

    async def secret(self) -> bytes:
        """The secret, as it was in the bucket within the last minute."""
        if self._secret is None or time.monotonic() - self._secret[0] > SECRET_SECONDS:
            async with self.asking(ANSWER_SECONDS):
                self._secret = (time.monotonic(), read_secret(await self._read_secret()))
        return self._secret[1]

    async def _read_secret(self) -> bytes:
        with suppress(FileNotFoundError):
            return await self._read_whole(SECRET)
        with suppress(AlreadyExistsError):  # another replica was faster
            await obstore.put_async(self.store, SECRET, new_secret(), mode="create")
        return await self._read_whole(SECRET)

    async def _read_whole(self, path: str) -> bytes:
        return bytes(await (await obstore.get_async(self.store, path)).bytes_async())

    async def find(self, owner: str, task_ids: Iterable[str]) -> dict[str, list[Copy]]:
        """The objects that are kept of some tasks of an owner, by task, in the order of the results."""
        turns, ids = asyncio.Semaphore(MAX_LISTS), list(task_ids)

        async def find_one(task_id: str) -> list[Copy]:
            async with turns, self.asking(ANSWER_SECONDS):
                return in_order([copy async for copy in self._copies(f"{owner}/{stem_of(task_id)}")])

        try:
            async with asyncio.timeout(FIND_SECONDS):
                copies = await asyncio.gather(*map(find_one, ids))
        except TimeoutError:
            raise Away("the bucket is slow") from None
        return {task_id: each for task_id, each in zip(ids, copies, strict=True) if each}

    @asynccontextmanager
    async def draft(self, owner: str, stem: str) -> AsyncGenerator[BucketDraft]:
        """An object that is there once it was placed. Until then nobody sees its parts, and they go at the end."""
        if not OWNER.fullmatch(owner):
            raise FileNotFoundError(owner)
        draft = BucketDraft(self, owner, stem)
        try:
            yield draft
        finally:
            await draft.drop()

    @asynccontextmanager
    async def open(self, owner: str, name: str) -> AsyncGenerator[OpenObject]:
        """A kept object. What is read of it is of the version that is there now."""
        if not (OWNER.fullmatch(owner) and NAME.fullmatch(name)):
            raise FileNotFoundError(name)
        async with self.asking(ANSWER_SECONDS):
            meta = await obstore.head_async(self.store, path_of(owner, name))
        if (copy := self._copy(meta)) is None or copy.until <= self.now():
            raise FileNotFoundError(name)
        yield OpenObject(self.store, copy, meta["e_tag"])

    async def tidy(self) -> None:
        """Removes what is certainly too old; counts the rest."""
        async with self._lock:
            await self._count()

    @asynccontextmanager
    async def make_room(self, owner: str, name: str, size: int) -> AsyncGenerator[None]:
        """Removes the oldest objects until there is room for ``size`` bytes: the owner's own, then anybody's.

        The room counts as taken inside the block, and after it too: what failed may still have arrived.

        Raises:
            Full: The object is larger than what may be kept of one owner.
            Away: Others that are on their way took all the room for :data:`ROOM_SECONDS`.
        """
        self.stock.check(size)
        end = time.monotonic() + ROOM_SECONDS
        while (promise := await self._promise(owner, name, size)) is None:
            self._settled.clear()
            try:
                async with asyncio.timeout(end - time.monotonic()):
                    await self._settled.wait()
            except TimeoutError:
                raise Away("others on their way into the bucket took all the room") from None
        try:
            yield
        finally:
            self.stock.settle(promise)
            self._settled.set()

    async def _promise(self, owner: str, name: str, size: int) -> Promise | None:
        """Room for an object; ``None`` where what is on its way leaves too little."""
        async with self._lock:
            if self.stock.must_wait(owner, size):
                return None
            if time.monotonic() - self._counted_at >= COUNT_SECONDS:
                await self._count()
            if self.stock.is_full_for(owner, size):
                await self._remove_oldest(size, owner)
            if self.stock.is_full(size):
                await self._remove_oldest(size)
            return self.stock.promise(owner, name, size)

    async def _count(self) -> None:
        copies, checks, newest = await self._look(None)
        self._counted_at = time.monotonic()
        past = self._past.review(newest)
        await self._remove([path for path, modified in checks if modified + MAX_CHECK_AGE_SECONDS <= past])
        await self._remove_copies([copy for copy in copies if copy.until <= past])

    async def _look(self, owner: str | None) -> tuple[list[Copy], list[tuple[str, float]], float]:
        """Counts what there is of an owner, or of all.

        Gives what may be removed, the objects that tried the bucket with when they did, and when anything was
        changed last.
        """
        copies, checks, newest, is_whole = list[Copy](), list[tuple[str, float]](), NEVER, False
        self.stock.begin_count()
        try:
            async for meta in self._objects(owner):
                modified = meta["last_modified"].timestamp()
                newest = max(newest, modified)
                if copy := self._copy(meta):
                    copies.append(copy)
                elif _CHECK.fullmatch(meta["path"]):
                    checks.append((meta["path"], modified))
            is_whole = True
        finally:
            present = self.stock.end_count(copies if is_whole else None, owner)
        return present, checks, newest

    async def _remove_oldest(self, size: int, owner: str | None = None) -> None:
        copies, _, _ = await self._look(owner)
        await self._remove_copies(self.stock.surplus(copies, size, owner))

    async def _remove_copies(self, copies: list[Copy]) -> None:
        await self._remove([path_of(copy.owner, copy.name) for copy in copies])
        for copy in copies:
            self.stock.add(copy.owner, -copy.size, -1)

    async def _remove(self, paths: list[str]) -> None:
        if paths:
            async with working(STEP_SECONDS):
                await obstore.delete_async(self.store, paths)

    async def _copies(self, below: str | None) -> AsyncIterator[Copy]:
        async for meta in self._objects(below):
            if (copy := self._copy(meta)) and copy.until > self.now():
                yield copy

    async def _objects(self, below: str | None) -> AsyncIterator[ObjectMeta]:
        pages = pages_of(self.store, below)
        while True:
            async with working(STEP_SECONDS):
                page = await anext(pages, None)
            if page is None:
                return
            for meta in page:
                yield meta

    def _copy(self, meta: ObjectMeta) -> Copy | None:
        """What an object is; ``None`` where its name was not made here."""
        if not _is_ours(meta["path"]):
            return None
        owner, _, name = meta["path"].split("/")
        return self.bounds.copy(owner, name, meta["size"], meta["last_modified"].timestamp())


def _is_ours(path: str) -> bool:
    owner, _, rest = path.partition("/")
    name = rest.rpartition("/")[2]
    return bool(OWNER.fullmatch(owner) and NAME.fullmatch(name)) and path == path_of(owner, name)
