"""The record of a call, for logs and metrics: no prompt, no link, no key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

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
LIMIT_CODES = ("too_many_calls", "too_many_waits", "rate_limited", "credit_limit", "credit_limit_unreadable")
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


# Arguments whose values may be logged: none of them holds what somebody wrote, or where something is.
PLAIN_ARGUMENTS = frozenset(
    "model size resolution quality n duration aspect_ratio generate_audio wait_seconds preview dry_run kind capability "
    "status page page_size seed".split()
)
MAX_ARGUMENTS = 20  # arguments
MAX_VALUE = 60  # characters
MAX_WORD = 1_000  # characters of what can be one
SENTENCE = "(several_words)"  # in place of them


def arguments_of(arguments: Mapping[str, object]) -> str:
    """The arguments of a call as a log may hold them: values of those that are plain, of others the name alone."""
    words: list[str] = []
    for name, value in list(arguments.items())[:MAX_ARGUMENTS]:
        plain = name in PLAIN_ARGUMENTS and isinstance(value, str | int | float)
        more = f"{{{','.join(_names(value))}}}" if name == "options" else ""
        words.append(f"{word(name)}={word(str(value))}" if plain else f"{word(name)}{more}")
    return " ".join(words)


def _names(value: object) -> list[str]:
    return (
        [word(str(name)) for name in list(cast("dict[object, object]", value))[:MAX_ARGUMENTS]]
        if isinstance(value, dict)
        else []
    )


def word(text: str) -> str:
    """A text as a log may hold it: none of several words, which somebody wrote; nothing that separates one from the
    next. A gateway may put what was asked for into a code, and an agent its prompt into any argument. Not every script
    has blanks between words."""
    if len(text) > MAX_WORD or len(text.split()) > 1 or not text.replace("×", "x").isascii():
        return SENTENCE
    return "".join(letter if letter.isalnum() or letter in "-_.:/×" else "_" for letter in text[:MAX_VALUE])


@dataclass(frozen=True)
class CallRecord:
    """One finished tool call, without prompts, links and keys.

    Attributes:
        outcome: One of ``OUTCOMES``.
        request_id: The gateway's, of its last request; ``gateway_status`` its HTTP status.
        number: What joins this to the transport's own lines on the same request.
        arguments: As :func:`arguments_of` has them.
        task_status: Of the task it told of; ``code`` of its error or its task's.
        results: How many files there are; ``duration`` is how long those that last are in all.
        previews: How many of them were shown; ``preview_problem`` is why others that should be were not.
    """

    tool: str
    paid: bool
    outcome: str
    seconds: float
    owner: str
    name: str = ""
    request_id: str = ""
    task_id: str = ""
    number: str = ""
    model: str = ""
    arguments: str = ""
    task_status: str = ""
    code: str = ""
    gateway_status: int = 0
    kind: str = ""
    results: int = 0
    duration: float = 0.0
    previews: int = 0
    preview_problem: str = ""


class Audit(Protocol):
    """Hears of every tool call, of every request to the gateway, and of credits held and charged."""

    def record_call(self, record: CallRecord) -> None: ...

    def record_exchange(self, exchange: Exchange) -> None: ...

    def record_credits(self, name: str, held: float, charged: float) -> None: ...
