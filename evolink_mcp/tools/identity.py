"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass, field

MIN_SECRET_CHARACTERS = 8  # hiding less would garble results, and no real key is that short


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
        secrets = (self.key, self.presented)
        return tuple(secret for secret in secrets if secret and len(secret) >= MIN_SECRET_CHARACTERS)
