"""What is known of a purchase: in flight, created, free or unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from evolink_mcp.errors import EvolinkError, OutcomeUnknown

T = TypeVar("T")
LOST_WORDS = "An earlier, identical request got no clear answer. Whether a task was created is unknown."


@dataclass(frozen=True)
class InFlight:
    """No outcome yet."""


@dataclass(frozen=True)
class Created:
    """Paid for. ``product`` is what the gateway answered, where this process has it."""

    id: str
    product: object = None


@dataclass(frozen=True)
class Free:
    """Nothing was charged; ``error`` says why."""

    error: EvolinkError


@dataclass(frozen=True)
class Unknown:
    """It may have been charged; ``error`` says what can be known."""

    error: OutcomeUnknown


Outcome = InFlight | Created | Free | Unknown


@dataclass(frozen=True)
class Bought(Generic[T]):
    """What was bought.

    Attributes:
        is_earlier: It is that of an earlier identical request, and nothing was paid for again.
        away: What could not be asked whether another process has bought the same; "" where nothing was away.
        twins: What else was bought by the same request, and nobody has heard of.
    """

    product: T
    is_earlier: bool = False
    away: str = ""
    twins: tuple[Outcome, ...] = ()


def outcome_to_json(outcome: Outcome) -> dict[str, str]:
    """An outcome as a ledger holds it: without the gateway's words, which may quote a prompt."""
    match outcome:
        case Created(id):
            return {"id": id}
        case Unknown(error):
            return {"code": error.code, "next": error.next_step}
        case _:
            return {}


def outcome_from_json(value: Mapping[str, object]) -> Outcome:
    """The outcome in a ledger."""
    if isinstance(task_id := value.get("id"), str) and task_id:
        return Created(task_id)
    if isinstance(code := value.get("code"), str):
        return Unknown(OutcomeUnknown(LOST_WORDS, code=code, next_step=str(value.get("next") or "")))
    return InFlight()
