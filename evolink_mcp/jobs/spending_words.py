"""What is said of limits: refusals that name the sums and the way out, and the warning before."""

from __future__ import annotations

from evolink_mcp.errors import Refused
from evolink_mcp.jobs.limits import Scope
from evolink_mcp.jobs.spending import UNITS, WARN_SHARE, Expense, NoRoom, Sums, seconds_to_tomorrow

CODE = "credit_limit"
PER_CALL, PER_DAY = "EVOLINK_MAX_CREDITS_PER_CALL", "EVOLINK_MAX_CREDITS_PER_DAY"
_WHOSE = {"caller": "your limit", "all": "the limit of all callers together"}
_RAISE = "Only the user, or this server's operator, can raise the limit"


def over_call(credits: float, limit: float) -> Refused:
    """The refusal of a call that would cost more than any call may."""
    return Refused(
        f"This call would cost up to {amount(credits)} credits, and the limit for one call is {amount(limit)}.",
        code=CODE,
        next_step=f"Ask for less: fewer seconds or results, a lower quality, another model. {_RAISE} ({PER_CALL}).",
    )


def without_room(expense: Expense, no_room: NoRoom, now: float) -> Refused:
    """The refusal of a call that a day's limit has no room for."""
    sums, limit = no_room.sums, no_room.limit
    state = f"of {amount(limit)} credits a day: {amount(sums.charged)} charged, {amount(sums.held)} held"
    match no_room.why:
        case "over" if sums.total < limit:
            cost = f"up to {amount(expense.credits or 0.0)} credits"
            what = f"This call would cost {cost}, more than is left {_of(no_room.scope)} {state}."
            more = "A cheaper call may fit; dry_run tells the cost."
        case "over":
            what = f"Nothing is left {_of(no_room.scope)} {state}."
            more = "What is held comes back if its task fails; check_task shows that." if sums.held else ""
        case _:
            what = (
                "Nobody knows what this call would cost, nor what an earlier one cost; together they could pass "
                f"{_WHOSE[no_room.scope]} {state}."
            )
            more = (
                "Call check_task for the earlier task (the EvoLink dashboard lists it): once its cost is known, calls "
                "go on. Calls whose cost dry_run tells are not held up."
            )
    return Refused(
        what,
        code=CODE,
        next_step=f"{more} {_RAISE} ({PER_DAY}); a new day begins in {_hours(seconds_to_tomorrow(now))} (UTC).".strip(),
    )


def unreadable() -> Refused:
    """The refusal where nobody can tell what was spent."""
    return Refused(
        "A limit of credits is set, and this server cannot read what was spent today, so it does not spend more.",
        code="credit_limit_unreadable",
        next_step="Call again in a minute. If this goes on, tell the user: the server's log says what is wrong.",
    )


def no_text() -> Refused:
    """The refusal of a text under a limit."""
    return Refused(
        "A limit of credits a day is set, and no answer of the gateway tells what a text cost, so none is bought.",
        code=CODE,
        next_step="Write the text yourself.",
    )


def warning(scope: Scope, limit: float, sums: Sums) -> str:
    """What is said once a day, beside the call that used most of a limit up."""
    return (
        f"{WARN_SHARE:.0%} or more of {_WHOSE[scope]} of {amount(limit)} credits a day is used: "
        f"{amount(sums.charged)} charged, {amount(sums.held)} held. Tell the user."
    )


def amount(credits: float) -> str:
    """Credits as a person reads them."""
    return f"{round(credits * UNITS) / UNITS:,.4f}".rstrip("0").rstrip(".")


def _of(scope: Scope) -> str:
    return f"of {_WHOSE[scope]}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 5400 else f"{max(seconds / 60, 1):.0f} min"
