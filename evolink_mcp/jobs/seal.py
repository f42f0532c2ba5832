"""What addresses that this server hands out rest on: a secret they are sealed with, and which of them were used."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Sequence
from typing import Protocol

MAX_CLAIMS = 10_000


class Seal(Protocol):
    """A secret and claims, of this process or of all replicas. Never raises."""

    async def secret(self, *, max_age: float = 0.0) -> bytes:
        """32 bytes in URL-safe base64, the same for as long as addresses live.

        Args:
            max_age: How old, in seconds, what is known here of it may be.
        """
        ...

    async def secrets(self, *, max_age: float = 0.0) -> Sequence[bytes]:
        """The same, and those that it was here before: an address outlives them for its few minutes."""
        ...

    async def claim(self, name: str, seconds: float) -> bool:
        """Whether this is the first claim of a name within ``seconds``."""
        ...

    async def release(self, name: str) -> None:
        """Lets a name be claimed again."""
        ...


def new_secret() -> str:
    """A new one, as text."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


class LocalSeal:
    """That of this process."""

    def __init__(self) -> None:
        self._secret = new_secret().encode()
        self._claims: dict[str, float] = {}  # until when, by name

    async def secret(self, *, max_age: float = 0.0) -> bytes:
        return self._secret

    async def secrets(self, *, max_age: float = 0.0) -> Sequence[bytes]:
        return (self._secret,)

    async def claim(self, name: str, seconds: float) -> bool:
        now = time.monotonic()
        if self._claims.get(name, 0.0) > now:
            return False
        if len(self._claims) >= MAX_CLAIMS:
            self._claims = {each: end for each, end in self._claims.items() if end > now}
        self._claims[name] = now + seconds
        return True

    async def release(self, name: str) -> None:
        self._claims.pop(name, None)
