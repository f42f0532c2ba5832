"""An error held against what the gateway says elsewhere: one free question, bounded in time, never a second fault.

An answer that contradicts the gateway's own figures must not send the user to pay more or to delete files.
"""

from __future__ import annotations

import re

from evolink_mcp.errors import KEYS_PAGE, GatewayError, GatewayRefused
from evolink_mcp.gateway import files, problems
from evolink_mcp.jobs.deadlines import SUBMIT_SECONDS
from evolink_mcp.tools.call import Call
from evolink_mcp.tools.money import credits

QUESTION_SECONDS = 5.0
AMPLE_CREDITS = 100.0  # with so many left, a refused call is hardly a matter of money
NO_PLACES = 40003  # S1
# What the gateway adds to a refusal for money, in the words of ``gateway.replies``.
_BILLING = re.compile(r" See https?://\S+\.| The gateway suggests: [^.]*\.")


async def reconsider(call: Call, error: GatewayRefused) -> GatewayRefused:
    """The error, with what one free question to the gateway shows of it."""
    if error.status == 402 or error.code in problems.NEVER_RETRIED:
        if advice := await balance_advice(call, error.code):
            step = _BILLING.sub("", error.next_step).replace(problems.TOP_UP, advice)
            return error.replace(next_step=step if advice in step else f"{advice} {step}".strip())
    elif error.code == str(NO_PLACES) and (advice := await _places_advice(call)):
        return error.replace(next_step=error.next_step.replace(problems.FILE_ADVICE[NO_PLACES].resolution, advice))
    return error


async def balance_advice(call: Call, code: str) -> str:
    """What to do about an empty account that is not empty; "" where it is, or where nobody can tell."""
    from evolink_mcp.gateway import account

    if code in problems.KEY_LIMITS:
        return f"The key's own limit is reached, not the account's. Ask the user to raise it at {KEYS_PAGE}."
    try:
        balance = await account.credits(call.caller, seconds=min(QUESTION_SECONDS, call.remaining(SUBMIT_SECONDS)))
    except GatewayError:
        return ""
    if balance is None or balance.spendable is None or balance.spendable < AMPLE_CREDITS:
        return ""
    # Callers who share a key need not know how much is on it.
    shared = call.caller.owner != call.caller.account
    amount = "many credits" if shared else f"{credits(balance.spendable)} credits"
    return (
        f"The balance shows {amount} to spend, so money is hardly the reason: try once more. If it is refused again, "
        "tell the user, or choose a cheaper model or a smaller request."
    )


async def _places_advice(call: Call) -> str:
    """What to do about a full storage that is not full; "" where it is, or where nobody can tell."""
    try:
        quota = await files.quota(call.caller, seconds=min(QUESTION_SECONDS, call.remaining(SUBMIT_SECONDS)))
    except GatewayError:
        return ""
    if not quota.remain_files and quota.used_files != 0:
        return ""
    count = f"{quota.used_files or 0} of {quota.max_files} places are" if quota.max_files else "Not every place is"
    return f"{count} taken, so this may pass: try once more. If it fails again, tell the user."
