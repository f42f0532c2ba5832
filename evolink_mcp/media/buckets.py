"""What it takes to ask an S3 bucket: the client (obstore, of the ``s3`` extra), patience, and errors in our words.

What the client says of errors quotes addresses and whole answers, so none of it is passed on.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

from evolink_mcp.media.shelf import Away, NoAccess, NoBucket, ShelfError
from evolink_mcp.settings.places import Bucket

if TYPE_CHECKING:
    from obstore import ListStream, ObjectMeta
    from obstore.store import ObjectStore

AWAY_SECONDS = 10.0  # a bucket that did not answer is not asked again for so long
TICK_SECONDS = 0.1  # of waiting; what holds this process up takes one at most
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_STATUS = re.compile(r"status code: ([0-9]{3})")
_PASSING = frozenset({429, 500, 502, 503, 504})
_REFUSED = frozenset({401, 403})


def open_bucket(place: Bucket) -> ObjectStore:
    """The bucket, by the client's own settings in the environment. Asks nothing yet.

    Raises:
        ShelfError: They are not what the client takes.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    try:
        _ = urlsplit(endpoint).port  # raises where it is no number; the client would go to pieces over it
        return S3Store(
            place.name,
            prefix=place.prefix or None,
            # A film may take long, as long as something comes. Unencrypted only where the operator wrote so.
            client_options={
                "connect_timeout": "3s",
                "read_timeout": "30s",
                "timeout": "1h",
                "allow_http": endpoint.lower().startswith("http://"),
            },
            retry_config={
                "max_retries": 2,
                "retry_timeout": timedelta(seconds=60),
                "backoff": {"max_backoff": timedelta(seconds=2)},
            },
        )
    except Exception:  # its kinds are many, and quote what was set
        raise ShelfError("the AWS_ variables do not name a bucket's service") from None


def pages_of(store: ObjectStore, below: str | None) -> ListStream[Sequence[ObjectMeta]]:
    """What lies below a name, in pages; with ``None``, everything."""
    return obstore.list(store, below, chunk_size=1000)  # pyright: ignore[reportUnknownMemberType]


class _Silent(Away):
    """There was no answer at all."""

    def __init__(self) -> None:
        super().__init__("the bucket does not answer")


@asynccontextmanager
async def working(seconds: float) -> AsyncGenerator[None]:
    """Has the bucket do something inside the block, within ``seconds``.

    Raises:
        FileNotFoundError: There is no such object.
        Away: It does not answer.
        ShelfError: It refuses.
    """
    try:
        async with _patient(seconds):
            yield
    except ShelfError:
        raise
    except TimeoutError:
        raise _Silent from None
    except Exception as error:
        said = str(error)
        status, code = _STATUS.search(said), _CODE.search(said)
        if isinstance(error, FileNotFoundError) and not (code and code[1] == "NoSuchBucket"):
            raise FileNotFoundError("no such object") from None
        if status is None:
            raise _Silent from None
        raise _refusal(int(status[1]), code[1] if code else status[1]) from None


@asynccontextmanager
async def _patient(seconds: float) -> AsyncGenerator[None]:
    """Ends the block with ``TimeoutError`` after ``seconds`` in which answers could be heard: time for which this
    process was held up is not the bucket's."""
    loop, remaining = asyncio.get_running_loop(), seconds
    step = max(TICK_SECONDS, seconds / 100)

    def tick() -> None:
        nonlocal remaining, handle
        remaining -= step
        if remaining <= 0:
            limit.reschedule(loop.time())
        else:
            handle = loop.call_later(min(step, remaining), tick)

    async with asyncio.timeout(None) as limit:
        handle = loop.call_later(min(step, seconds), tick)
        try:
            yield
        finally:
            handle.cancel()


class Patience:
    """How long short questions wait: after one without an answer there is a rest, so that a bucket that hangs holds
    nobody up again and again. Where others were answered meanwhile, it does not hang."""

    def __init__(self) -> None:
        self._away_until = 0.0
        self._answered_at = 0.0

    @asynccontextmanager
    async def asking(self, seconds: float) -> AsyncGenerator[None]:
        """Asks the bucket inside the block, as :func:`working`.

        Raises:
            Away: It does not answer, or did not a moment ago.
        """
        start = time.monotonic()
        if start < self._away_until:
            raise _Silent
        try:
            async with working(seconds):
                yield
        except _Silent:
            if self._answered_at < start:
                self._away_until = time.monotonic() + AWAY_SECONDS
            raise
        except OSError:
            self._answered_at = time.monotonic()
            raise
        self._answered_at = time.monotonic()


def _refusal(status: int, code: str) -> ShelfError:
    """What an answer of the bucket means, by its status and S3's code, or the status again."""
    if code == "NoSuchBucket":
        return NoBucket("there is no such bucket")
    if status in _PASSING:
        return Away(f"the bucket cannot answer now ({code})")
    if status in _REFUSED:
        return NoAccess(f"the bucket refuses access ({code})")
    return ShelfError(f"the bucket answered {code}")


def path_of(owner: str, name: str) -> str:
    """Where a result lies. A task has a folder of its own, because a list begins at one."""
    return f"{owner}/{name.rpartition('-')[0]}/{name}"
