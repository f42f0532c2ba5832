"""A text as an order: paid for by the same rules as a task, answered at once.

A text may take longer than a call: the purchase then goes on by itself, and the
same request again joins it or gets its answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.gateway import Caller, text
from evolink_mcp.jobs.ledger import Key
from evolink_mcp.jobs.orders import Sending, intent_of
from evolink_mcp.jobs.outcomes import Created

WRITE_SECONDS = 300.0  # how long one text may take, whatever became of the call that asked for it


@dataclass(frozen=True)
class TextOrder:
    """A text. Behind it there is no task: only the process that had it written can hand it out."""

    caller: Caller
    body: Mapping[str, object]

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def key(self) -> Key:
        return self._key

    @cached_property
    def _key(self) -> Key:
        """A text may have megabytes, and whoever waits for its twin looks at this again and again."""
        return Key(self.caller.owner, intent_of("text", self.body))

    async def send(self, seconds: float, sending: Sending) -> Created:
        seconds = max(seconds, WRITE_SECONDS)
        message = await text.create(
            self.caller, self.body, seconds=seconds, on_growth=sending.grow, depart=sending.depart
        )
        return Created(f"text-{secrets.token_hex(8)}", message)

    async def remember(self, created: Created) -> None:
        """A text leaves nothing to be found again."""

    async def explain(self, error: OutcomeUnknown, *, age: float, seconds: float) -> OutcomeUnknown:
        return error.replace(
            what=f"{error.what.rstrip('.')}. Whether the text was charged is unknown.",
            next_step="Do not call again blindly: that may pay twice, and a text leaves no task to look up. Tell the "
            "user, who can look at the EvoLink dashboard, or compare check_balance if it is offered, before deciding.",
        )

    async def reread(self, created: Created) -> text.Message:
        if isinstance(created.product, text.Message):
            return created.product
        raise OutcomeUnknown(
            "The same request was answered before, but this server no longer has the answer.",
            code="text_lost",
            next_step="Another call writes a new text and is charged again. Let the user decide.",
        )
