"""Who calls, and what is told of a call to whoever keeps the books: logs and metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from evolink_mcp.errors import EvolinkError, GatewayRefused, MissingKey, OutcomeUnknown, Refused, Unreachable
from evolink_mcp.gateway import Exchange

# By kind of error; the first that fits. Closed, so that it can be a label.
_BY_ERROR: tuple[tuple[type[EvolinkError], str], ...] = (
    (MissingKey, "refused"),
    (Refused, "refused"),
    (Unreachable, "unreachable"),
    (GatewayRefused, "gateway_refused"),
    (OutcomeUnknown, "unknown"),
    (EvolinkError, "failed"),
)
LEAST_SECRET = 8  # characters; hiding less would garble results, and no real key is that short
LIMITED = ("too_many_calls", "too_many_waits", "rate_limited")
OUTCOMES = (
    "ok",
    "refused",
    "limited",
    "unreachable",
    "gateway_refused",
    "unknown",
    "failed",
    "internal",
    "cancelled",
    "stopped",
)


def outcome_of(error: EvolinkError) -> str:
    """The outcome that an error amounts to."""
    if error.code in LIMITED:
        return "limited"
    if error.code in ("stopped", "internal_error"):
        return error.code.removesuffix("_error")
    return next(outcome for kind, outcome in _BY_ERROR if isinstance(error, kind))


@dataclass(frozen=True)
class Credential:
    """Who calls: the EvoLink key of the call, and a hash that stands for the caller.

    ``name`` is what the operator calls them, ``presented`` what they showed
    where that is not the key itself.
    """

    key: str | None = field(repr=False)
    owner: str
    name: str = ""
    presented: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody may be shown."""
        return tuple(secret for secret in (self.key, self.presented) if secret and len(secret) >= LEAST_SECRET)


@dataclass(frozen=True)
class Done:
    """One finished tool call, as whoever keeps the books may know it: no prompt, no link, no key.

    ``outcome`` is one of ``OUTCOMES``; ``request_id`` the gateway's, of its last request.
    """

    tool: str
    paid: bool
    outcome: str
    seconds: float
    owner: str
    name: str = ""
    request_id: str = ""
    task_id: str = ""


class Watcher(Protocol):
    """Hears of every tool call and of every request to the gateway."""

    def called(self, done: Done) -> None: ...

    def exchanged(self, exchange: Exchange) -> None: ...
