"""Misbehaviour to order: which kinds there are, and which request gets which."""

from __future__ import annotations

import itertools
from collections.abc import Set
from dataclasses import dataclass
from typing import cast

from evolink_mcp.sandbox.callbacks import Manner
from evolink_mcp.sandbox.tasks import TaskFault
from evolink_mcp.sandbox.wire import Json, Refusal

PAID = frozenset({"images", "videos", "audios"})
FILES = frozenset({"upload_base64", "upload_stream", "upload_url", "files_list", "files_quota", "files_delete"})
LINKS = frozenset({"result", "file"})
PRICES = frozenset({"estimates", "rules", "prices"})
ROUTES = PAID | FILES | LINKS | PRICES | {"task", "tasks", "batch", "credits", "models", "text"}

# Kinds that concern a task rather than the answer to its creation.
TASK_KINDS = frozenset({"task_error", "task_status", "no_urls"})
CALLBACK = "callback"  # the call at the end of a task comes otherwise, or not
MANNERS = frozenset({"never", "late", "twice", "forged", "first"})
OTHER = "other_result"  # the task completes, with something else than was asked for

_NUMBER, _WHOLE = (int, float), (int,)
KINDS: dict[str, dict[str, tuple[type, ...]]] = {
    "status": {"status": _WHOLE, "retry_after": _NUMBER, "body": (object,), "code": (str, int), "message": (str,)},
    "html": {"status": _WHOLE},
    "garbage": {},
    "empty": {},
    "no_id": {},
    "drop_before": {},
    "drop_after": {},
    "hang": {"seconds": _NUMBER},
    "stall": {"seconds": _NUMBER},
    "trickle": {"delay": _NUMBER},
    "slow": {"delay": _NUMBER},
    "envelope": {"code": _WHOLE, "message": (str,)},
    "redirect": {"location": (str,)},
    "stream_error": {"message": (str,)},
    "task_error": {"code": (str,), "message": (str,)},
    "task_status": {"status": (str,)},
    "no_urls": {},
    CALLBACK: {"how": (str,), "seconds": _NUMBER},
    OTHER: {"size": (str,), "seconds": _WHOLE, "sound": (bool,), "count": _WHOLE, "transparent": (bool,)},
}
_REQUIRED = {"status": "status", "task_status": "status", "envelope": "code", "redirect": "location", CALLBACK: "how"}
# Kinds that answer in place of the handler: with `created`, the handler runs first and its answer is lost.
_MAY_CREATE = ("status", "html", "garbage", "empty", "hang")
_ONLY_FOR = {
    "envelope": FILES,
    "redirect": LINKS,
    "no_id": PAID,
    "stream_error": {"text"},
    **dict.fromkeys({*TASK_KINDS, CALLBACK, OTHER}, PAID),
}

# The task error codes of S1, and whether trying again may help.
_AGAIN = "Trying again later may work."
_CHANGE = "The request has to change before it can work."
TASK_ERRORS = {
    "content_policy_violation": f"The safety filter refused this prompt. {_CHANGE}",
    "invalid_parameters": f"A parameter is not valid for this model. {_CHANGE}",
    "image_dimension_mismatch": f"The reference image does not have the requested shape. {_CHANGE}",
    "image_processing_error": f"The reference image could not be read. {_CHANGE}",
    "model_unavailable": f"The model is offline. {_CHANGE}",
    "generation_timeout": f"The generation took too long. {_AGAIN}",
    "quota_exceeded": f"The account has no credits left. {_AGAIN}",
    "resource_exhausted": f"All machines are busy. {_AGAIN}",
    "service_error": f"An internal service failed. {_AGAIN}",
    "generation_failed_no_content": f"The model produced nothing. {_AGAIN}",
    "upstream_error": f"The provider failed. {_AGAIN}",
    "rate_limited": f"Too many tasks at once. {_AGAIN}",
    "unknown_error": f"Something failed. {_AGAIN}",
}


@dataclass(slots=True)
class Fault:
    """One order. ``after`` requests are let through, then ``times`` are hit (0: until cleared)."""

    id: int
    route: str
    kind: str
    times: int
    after: int
    created: bool
    parameters: Json

    def concerns(self, route: str) -> bool:
        return self.route in (route, "*") and route in _ONLY_FOR.get(self.kind, ROUTES)

    def number(self, name: str, default: float) -> float:
        return cast("float", self.parameters.get(name, default))

    def text(self, name: str, default: str) -> str:
        return str(self.parameters.get(name, default))

    def view(self) -> Json:
        fixed: Json = {"id": self.id, "route": self.route, "kind": self.kind, "times": self.times, "after": self.after}
        return {**fixed, **({"created": True} if self.created else {}), **self.parameters}


class FaultBook:
    """Orders in the sequence they came; the first that concerns a request and is due takes it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, order: Json) -> Fault:
        """Notes a misbehaviour for later requests.

        Raises:
            Refusal: 400 saying what is wrong with an order.
        """
        fault = _read(order, next(self._ids))
        self._faults.append(fault)
        return fault

    def take(self, route: str) -> Fault | None:
        """The misbehaviour due for a request, counted as used; task faults are not for requests."""
        return self._take(route, KINDS.keys() - TASK_KINDS - {OTHER, CALLBACK})

    def take_for_result(self, route: str) -> Json:
        """What the files of a task that is being created have in place of what was asked for, by name."""
        fault = self._take(route, {OTHER})
        return fault.parameters if fault else {}

    def take_for_callback(self, route: str) -> Manner:
        """How a task that is being created is called back for."""
        fault = self._take(route, {CALLBACK})
        return Manner(fault.text("how", "usual"), fault.number("seconds", 5.0)) if fault else Manner()

    def take_for_task(self, route: str) -> TaskFault | None:
        """The misbehaviour due for a task that is being created."""
        fault = self._take(route, TASK_KINDS)
        if fault is None:
            return None
        code = fault.text("code", "service_error")
        message = fault.text("message", TASK_ERRORS.get(code, f"The task failed. {_AGAIN}"))
        return TaskFault(fault.kind, code, message, fault.text("status", ""))

    def views(self) -> list[Json]:
        return [fault.view() for fault in self._faults]

    def clear(self) -> None:
        self._faults.clear()

    def _take(self, route: str, kinds: Set[str]) -> Fault | None:
        for fault in self._faults:
            if fault.kind not in kinds or not fault.concerns(route):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times == 1:
                self._faults.remove(fault)
            fault.times -= 1 if fault.times else 0
            return fault
        return None


def _read(order: Json, ident: int) -> Fault:
    kind, route = order.get("kind"), order.get("route", "*")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Refusal(400, f"kind is one of {', '.join(KINDS)}")
    if not isinstance(route, str) or route not in (ROUTES | {"*"}):
        raise Refusal(400, f"route is one of {', '.join(sorted(ROUTES))} or *")
    fitting = _ONLY_FOR.get(kind, ROUTES)
    if route != "*" and route not in fitting:
        raise Refusal(400, f"{kind} is for {', '.join(sorted(fitting))}")
    fields: dict[str, tuple[type, ...]] = {"times": _WHOLE, "after": _WHOLE, **KINDS[kind]}
    if kind in _MAY_CREATE:
        fields["created"] = (bool,)
    options = {name: value for name, value in order.items() if name not in ("kind", "route")}
    for name, value in options.items():
        _check(kind, name, value, fields)
    required = _REQUIRED.get(kind)
    if required and required not in options:
        raise Refusal(400, f"{kind} needs {required}")
    times, after = (cast("int", options.pop(name, default)) for name, default in (("times", 1), ("after", 0)))
    return Fault(ident, route, kind, times, after, bool(options.pop("created", False)), options)


def _check(kind: str, name: str, value: object, fields: dict[str, tuple[type, ...]]) -> None:
    types = fields.get(name)
    if types is None:
        raise Refusal(400, f"{kind} takes {', '.join(fields)}; not {name}")
    wrong_bool = isinstance(value, bool) and bool not in types and object not in types
    if wrong_bool or not isinstance(value, types):
        raise Refusal(400, f"{name} has the wrong type")
    if isinstance(value, (int, float)) and name != "code" and name != "body" and value < 0:
        raise Refusal(400, f"{name} may not be negative")
    if name == "how" and value not in MANNERS:
        raise Refusal(400, f"how is one of {', '.join(sorted(MANNERS))}")
    if name == "status" and isinstance(value, int) and not 200 <= value <= 599:
        raise Refusal(400, "status is from 200 to 599")
