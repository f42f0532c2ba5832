"""What a task costs, in the one line that says it."""

from __future__ import annotations


def credits(number: float) -> str:
    """Credits as a person reads them: every digit before the point, up to four behind it."""
    return f"{number:,.4f}".rstrip("0").rstrip(".")


def money_line(*, final: bool, held: float | None, charged: float | None, today: float | None = None) -> str:
    """The line for money. A task without a figure is never said to be free.

    Args:
        final: The task has ended.
        held: Credits reserved when it was made; ``None`` where the gateway does not say.
        charged: Credits it took in the end; ``None`` where the gateway does not say.
        today: Credits that were charged today, with others; ``None`` where that is not worth saying.
    """
    if not final:
        return f"Held: {_amount(held)} until it ends." if held is not None else "Held: unknown."
    if charged is None:
        return f"Charged: unknown ({credits(held)} were held)." if held else "Charged: unknown."
    if charged <= 0:
        return f"Charged: 0 ({credits(held)} were held and came back)." if held else "Charged: 0."
    return f"Charged: {_amount(charged)}{'' if today is None else f' ({credits(today)} today)'}."


def _amount(number: float) -> str:
    return f"{credits(number)} credit{'' if number == 1 else 's'}"
