"""The record of a call, for logs and metrics: no prompt, no link, no key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from evolink_mcp.errors import EvolinkError, GatewayRefused, MissingKey, OutcomeUnknown, Refused, Unreachable
from evolink_mcp.gateway import Exchange

# By class of error; the first that fits. The set is closed, so that an outcome can be a label.
_BY_ERROR: tuple[tuple[type[EvolinkError], str], ...] = (
    (MissingKey, "refused"),
    (Refused, "refused"),
    (Unreachable, "unreachable"),
    (GatewayRefused, "gateway_refused"),
    (OutcomeUnknown, "unknown"),
    (EvolinkError, "failed"),
)
LIMIT_CODES = ("too_many_calls", "too_many_waits", "rate_limited")
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
    if error.code in LIMIT_CODES:
        return "limited"
    if error.code in ("stopped", "internal_error"):
        return error.code.removesuffix("_error")
    return next(outcome for kind, outcome in _BY_ERROR if isinstance(error, kind))


@dataclass(frozen=True)
class CallRecord:
    """One finished tool call. ``outcome`` is one of ``OUTCOMES``; ``request_id`` the gateway's, of its last request."""

    tool: str
    paid: bool
    outcome: str
    seconds: float
    owner: str
    name: str = ""
    request_id: str = ""
    task_id: str = ""


class Audit(Protocol):
    """Hears of every tool call and of every request to the gateway."""

    def record_call(self, record: CallRecord) -> None: ...

    def record_exchange(self, exchange: Exchange) -> None: ...
