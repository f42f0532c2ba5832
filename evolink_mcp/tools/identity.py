"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credential:
    """What a caller presents: the EvoLink key of the call, and the hash of its owner.

    ``name`` is what the operator calls the caller, ``presented`` the token that stands for the key, if any.
    """

    key: str | None = field(repr=False)
    owner: str
    name: str = ""
    presented: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown to anybody."""
        return tuple(secret for secret in (self.key, self.presented) if secret)
