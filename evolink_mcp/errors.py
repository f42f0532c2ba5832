"""Every error that leaves this package, drawn as one tree.

* EvolinkError                 what happened, its code, what it cost, what to do next
  x SettingsError              the environment holds something unusable (all problems at once)
  x MissingKey                 no EvoLink key is set, and the call needs one
  x Refused                    our own checks said no: nothing was sent
  x GatewayError               the gateway was asked, or should have been
    + Unreachable              the request provably never arrived
    + GatewayRefused           the gateway answered and did not do it
    + OutcomeUnknown           the request may have arrived; nobody here can tell

Only these reach an agent, and each renders itself as the lines an agent reads.
"""

from __future__ import annotations

from typing import Literal, Self, TypedDict, Unpack

Charged = Literal["no", "unknown"]

KEYS_PAGE = "https://evolink.ai/dashboard/keys"  # S1
BILLING_PAGE = "https://evolink.ai/dashboard/billing"  # S1


class Facts(TypedDict, total=False):
    """What an error may hold beside its sentence; see :class:`EvolinkError`."""

    next_step: str
    code: str
    charged: Charged | None
    status: int
    request_id: str
    retry_after: float | None
    partial: str
    candidate: str


class EvolinkError(Exception):
    """An error with a way out. It is a value: nothing is ever written to it, context is added by making another.

    Attributes:
        what: One sentence: what happened. Never holds a key or a long body.
        next_step: What the reader can do now.
        code: The machine-readable code, shown in brackets behind ``what``.
        charged: ``"no"`` only where it is certain that no credits were spent,
            ``"unknown"`` where it is not. ``None`` leaves the claim to the caller.
        status: The HTTP status of the gateway's answer, 0 where there was none.
        request_id: The gateway's own id of the request, for its support.
        retry_after: Seconds the gateway asked to wait.
        partial: As much of a text as arrived before it broke; it may have been paid for.
        candidate: The id of the task that an unknown outcome probably made.
    """

    what: str
    next_step: str = ""
    code: str = ""
    charged: Charged | None = None
    status: int = 0
    request_id: str = ""
    retry_after: float | None = None
    partial: str = ""
    candidate: str = ""

    def __init__(self, what: str, **facts: Unpack[Facts]) -> None:
        super().__init__(what)
        vars(self).update(what=what, **{name: fact for name, fact in facts.items() if fact is not None})

    def __setattr__(self, name: str, value: object) -> None:
        """Lets Python note its own (``__traceback__`` and the like), and nobody else anything."""
        if not name.startswith("__"):
            raise AttributeError(f"An error is a value: make another with replace({name}=…).")
        super().__setattr__(name, value)

    def replace(self, *, what: str | None = None, **facts: Unpack[Facts]) -> Self:
        """The same error with other facts; its class, cause and traceback stay."""
        new = type(self).__new__(type(self), what or self.what)
        vars(new).update(vars(self) | {"what": what or self.what} | facts)
        new.__cause__, new.__suppress_context__ = self.__cause__, self.__suppress_context__
        return new.with_traceback(self.__traceback__)

    def with_next(self, sentence: str) -> Self:
        """The same error with one more sentence in its next step."""
        return self.replace(next_step=f"{self.next_step} {sentence}".strip())

    def render(self, *, paid: bool) -> str:
        """The text of a refusal: one fact a line, lines without content left out.

        A paid call says what it cost. Where no error class vouched for "no",
        the honest answer is "unknown".
        """
        first = f"{self.what} [{self.code}]" if self.code else self.what
        lines = [first]
        if paid:
            lines.append(f"Charged: {self.charged or 'unknown'}.")
        if self.next_step:
            lines.append(f"Next: {self.next_step}")
        if self.request_id:
            lines.append(f"Request id: {self.request_id}")
        if self.partial:
            lines.append(f"The text received so far:\n{self.partial}")
        return "\n".join(lines)


class SettingsError(EvolinkError):
    """The environment cannot be used. ``problems`` lists everything that is wrong with it."""

    problems: tuple[str, ...]

    def __init__(self, problems: list[str]) -> None:
        listed = "\n".join(f"- {problem}" for problem in problems)
        what = f"The settings cannot be used:\n{listed}"
        super().__init__(what, next_step="Correct the environment and start again.")
        vars(self).update(problems=tuple(problems))


class MissingKey(EvolinkError):
    """A call needs a key and none is set."""

    charged = "no"

    def __init__(self) -> None:
        super().__init__(
            "No EvoLink API key is set, and this tool needs one.",
            code="missing_api_key",
            next_step=(
                "Ask the user to set EVOLINK_API_KEY in the env block of this server's entry in their client's "
                f"configuration and restart it. Keys are made at {KEYS_PAGE}. list_models works without a key."
            ),
        )


class Refused(EvolinkError):
    """Our own checks said no. Nothing was sent."""

    charged = "no"


class GatewayError(EvolinkError):
    """A request to the gateway did not end well."""


class Unreachable(GatewayError):
    """The request provably never arrived: no name, no connection, no TLS, no free connection."""

    charged = "no"


class GatewayRefused(GatewayError):
    """The gateway answered, and did not do what was asked."""

    charged = "no"


class OutcomeUnknown(GatewayError):
    """The request may have arrived. A paid one must not be repeated blindly."""

    charged = "unknown"
