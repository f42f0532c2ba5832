"""What a task says of its credits, in its ``usage`` and, on newer gateways, in its ``billing``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evolink_mcp.gateway.values import as_number, as_object

MAX_CREDITS = 1e9  # of one task: so that sums of very many stay numbers that every store holds


def credits_held(task: Mapping[str, Any]) -> float | None:
    """The credits reserved for a task; ``None`` where it does not tell.

    0 tells nothing: a task that is paid for at its end has none reserved, and costs what it costs.
    """
    usage, billing = as_object(task.get("usage")), as_object(task.get("billing"))
    return _amount(usage.get("credits_reserved"), billing.get("reserved_credits")) or None


def credits_used(task: Mapping[str, Any]) -> float | None:
    """The credits charged for a task, less those that were given back; ``None`` where it does not tell.

    A refund that is only announced is none: its credits are still gone.
    """
    usage, billing = as_object(task.get("usage")), as_object(task.get("billing"))
    cost = as_object(usage.get("cost"))
    used = _amount(usage.get("credits_used"), cost.get("credits"), task.get("credits_used"))
    match billing.get("charge_status"):
        case "released":
            return 0.0
        case "charged":
            used = _amount(billing.get("charged_credits"), used)
        case _:
            pass
    returned = _amount(billing.get("refunded_credits"))
    if used is not None and returned is not None and billing.get("refund_status") == "completed":
        return max(used - returned, 0.0)
    return used


def _amount(*values: object) -> float | None:
    numbers = (number for number in map(as_number, values) if number is not None and number >= 0)
    return next((min(number, MAX_CREDITS) for number in numbers), None)
