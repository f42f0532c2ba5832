"""One paid POST that arrives: sent again only where that provably costs nothing more."""

from __future__ import annotations

from evolink_mcp.errors import GatewayRefused, OutcomeUnknown, Refused, Unreachable
from evolink_mcp.gateway.problems import NEVER_RETRIED
from evolink_mcp.jobs import recovery
from evolink_mcp.jobs.clock import Clock, Stopwatch
from evolink_mcp.jobs.orders import Order, Sending
from evolink_mcp.jobs.outcomes import Created
from evolink_mcp.jobs.pauses import LONG_PAUSE_SECONDS, PAUSE_SECONDS, Pauses, wait_advice

MAX_UNREACHED = 3
UNREACHED_PAUSE_SECONDS = 0.5
MIN_SECONDS = 10.0  # a paid request is not sent with less time than this to answer
MIN_PURCHASE_SECONDS = MIN_SECONDS + recovery.RECOVERY_SECONDS + 1.0


async def post(order: Order[object], sending: Sending, pauses: Pauses, clock: Clock, *, deadline: float) -> Created:
    """Sends an order's POST, again only if it never arrived, or once if it came too fast.

    Args:
        deadline: By ``clock.monotonic()``, the look-up after an unknown outcome included.
        sending: Asked before each try whether the request is still wanted.

    Raises:
        Refused, Unreachable, GatewayRefused: Nothing was charged.
        OutcomeUnknown: It may have been; what could be found out is in it.
    """
    watch, last = Stopwatch(clock), deadline - 1.0
    end = last - recovery.RECOVERY_SECONDS
    latest = end - MIN_SECONDS  # what is sent again after that may be paid for, and no answer is there in time
    account, unreached, too_fast = order.caller.account, 0, False
    while True:
        await pauses.pass_through(account, order.model, seconds=max(latest - clock.monotonic(), 0.0))
        sending.check()
        try:
            return await order.send(max(end - clock.monotonic(), 1.0), sending)
        except Unreachable:
            unreached += 1
            pause = UNREACHED_PAUSE_SECONDS * unreached
            if unreached >= MAX_UNREACHED or clock.monotonic() + pause > latest:
                raise
            await clock.sleep(pause)
        except GatewayRefused as error:
            if error.status != 429 or error.code in NEVER_RETRIED:
                raise
            pause = PAUSE_SECONDS if error.retry_after is None else error.retry_after
            pauses.pause(account, order.model, pause)
            if too_fast or clock.monotonic() + pause > latest:
                raise _too_fast(error, order.model, waited=watch.seconds()) from error.__cause__
            too_fast = True
        except OutcomeUnknown as error:
            seconds = max(min(recovery.RECOVERY_SECONDS, last - clock.monotonic()), 1.0)
            raise await order.explain(error, age=watch.seconds(), seconds=seconds) from error.__cause__


def _too_fast(error: GatewayRefused, model: str, *, waited: float) -> GatewayRefused:
    """A 429 in words that hold one number: how long to wait. The gateway's own may hold another."""
    what = f"The gateway takes no more requests for {model[:60]} now (HTTP 429)"
    so_far = f", although this call has waited {waited:.0f} s" if waited >= 1 else ""
    return error.replace(what=f"{what}{so_far}.", next_step=wait_advice(error.retry_after or LONG_PAUSE_SECONDS))


def no_time(*, is_unsure: bool = False) -> Refused:
    """An identical request was in the way until there was no time left to send this one; or ``is_unsure``: whether
    there is one could not be told for so long."""
    if is_unsure:
        words = "The processes of this server are still telling each other what was paid for."
        return Refused(words, code="busy", next_step="Nothing was sent for this call. Call again in a few seconds.")
    return Refused(
        "An identical request of yours is still under way, and no time is left to send another one.",
        code="busy",
        next_step="Nothing was sent for this call. Call again if you still want another one.",
    )


def broken(*, departed: bool) -> Refused | OutcomeUnknown:
    """A fault of ours, before the request left or after it has ``departed``."""
    advice = "Tell the user; the server's log has the details."
    if not departed:
        return Refused("This server failed before the request was sent.", code="internal_error", next_step=advice)
    words = "This server failed while the paid request was under way."
    return OutcomeUnknown(words, code="internal_error", next_step=f"{recovery.NEVER_BLINDLY} {advice}")


def stopped() -> OutcomeUnknown:
    """This process ended before the answer came."""
    return OutcomeUnknown("The server was stopped while the request was under way.", code="stopped")


def gone() -> Refused:
    """The caller went away before anything was sent."""
    return Refused("The call was cancelled before anything was sent.", code="cancelled")
