"""The secret of addresses, and their claims, of all replicas: any of them can serve an address that another made."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from evolink_mcp.jobs.seal import LocalSeal, new_secret
from evolink_mcp.jobs.shared.store import PREFIX, Away, Store, key

SECRET = f"{PREFIX}seal"
SECRET_SECONDS = 30 * 24 * 3600
CLAIMS = "claims"
MAX_EARLIER = 3  # secrets that a store lost


class SharedSeal:
    """The secret is in the store, and so is what was claimed.

    While it is away, this process goes on with the secret it knows, or before it knew one, with its own.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._local = LocalSeal()
        self._read: tuple[bytes, float] | None = None  # the secret, and when it was read
        self._earlier: deque[bytes] = deque(maxlen=MAX_EARLIER)
        self._reading = asyncio.Lock()

    async def secret(self, *, max_age: float = 0.0) -> bytes:
        if max_age <= 0:
            return await self._read_secret()
        async with self._reading:  # whoever asks meanwhile is told the same
            if self._read is not None and time.monotonic() - self._read[1] < max_age:
                return self._read[0]
            return await self._read_secret()

    async def secrets(self, *, max_age: float = 0.0) -> Sequence[bytes]:
        return tuple(dict.fromkeys((await self.secret(max_age=max_age), *self._earlier, await self._local.secret())))

    async def _read_secret(self) -> bytes:
        try:
            await self._store.ask("SET", SECRET, new_secret(), "NX", "EX", SECRET_SECONDS)
            value = await self._store.ask("GET", SECRET)
        except Away:
            value = None
        if not isinstance(value, str):
            return self._read[0] if self._read is not None else await self._local.secret()
        secret = value.encode()
        if self._read is not None and self._read[0] != secret:  # the store lost it
            self._earlier.appendleft(self._read[0])
        self._read = secret, time.monotonic()
        return secret

    async def claim(self, name: str, seconds: float) -> bool:
        if not await self._local.claim(name, seconds):
            return False
        try:
            answer = await self._store.ask("SET", key(CLAIMS, "one", name), "1", "NX", "PX", int(seconds * 1000))
        except Away:
            return True
        if answer is None:  # the store alone knows when another replica lets it go
            await self._local.release(name)
        return answer is not None

    async def release(self, name: str) -> None:
        await self._local.release(name)
        try:
            await self._store.ask("DEL", key(CLAIMS, "one", name))
        except Away:
            return
