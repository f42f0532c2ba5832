"""Where the gateway said "too fast", that caller's traffic to that model pauses for as long as it said.

Limits are per key and model, and unpublished (S0); S1 says to wait 30 to 60 s after a
429. Callers queue behind a pause; beyond a bounded number of them the rest are
told at once.
"""

from __future__ import annotations

from collections import Counter

from evolink_mcp.errors import Refused
from evolink_mcp.jobs.clock import Clock

PAUSE_SECONDS = 2.0  # after a 429 that names none
LONG_PAUSE_SECONDS = 60.0  # what an agent is told to wait after a second one (S1: 30 to 60 s)
MAX_WAITING = 16
MAX_PAUSES = 10_000  # of a pause that is forgotten, the gateway says so again


class Pauses:
    """Pauses by (owner, model)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()

    def until(self, owner: str, model: str) -> float:
        """When traffic may go on, by the monotonic clock; in the past where nothing holds it."""
        return self._until.get((owner, model), 0.0)

    def pause(self, owner: str, model: str, seconds: float | None = None) -> None:
        """Holds traffic for ``seconds``, if the gateway named any; a longer pause under way stays."""
        seconds = PAUSE_SECONDS if seconds is None else seconds
        now = self._clock.monotonic()
        if len(self._until) >= MAX_PAUSES:
            # A gateway may tell made-up keys to wait for an hour: then those that end first go.
            remaining = [item for item in self._until.items() if item[1] > now]
            remaining.sort(key=lambda item: item[1])
            self._until = dict(remaining[-MAX_PAUSES // 2 :])
        self._until[owner, model] = max(self.until(owner, model), now + seconds)

    async def pass_through(self, owner: str, model: str, *, seconds: float) -> None:
        """Waits until traffic may go on, ``seconds`` at most.

        Raises:
            Refused: The pause is longer than that, or too many callers wait already. Nothing was sent.
        """
        remaining = self.until(owner, model) - self._clock.monotonic()
        if remaining <= 0:
            return
        key = (owner, model)
        if remaining > seconds or self._waiting[key] >= MAX_WAITING:
            crowded = remaining <= seconds
            raise _too_fast(model, remaining, "too many calls wait for it already" if crowded else "")
        start = self._clock.monotonic()
        end = start + seconds
        self._waiting[key] += 1
        try:
            while (remaining := self.until(owner, model) - self._clock.monotonic()) > 0:
                if self._clock.monotonic() + remaining > end:
                    raise _too_fast(model, remaining, f"this call has waited {self._clock.monotonic() - start:.0f} s")
                await self._clock.sleep(remaining)
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]


def wait_advice(seconds: float) -> str:
    """What to do about a pause of ``seconds``, whether one can wait or not."""
    return f"Wait {max(seconds, 1):.0f} s, then call again. If you cannot wait, choose another model, or tell the user."


def _too_fast(model: str, remaining: float, more: str) -> Refused:
    facts = f"it opens again in {remaining:.0f} s" + (f" ({more})" if more else "")
    return Refused(
        f"The gateway asked to slow down for {model[:60]}, and {facts}.",
        code="rate_limited",
        next_step=wait_advice(remaining),
        retry_after=remaining,
    )
