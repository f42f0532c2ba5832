"""The sandbox's own endpoint, ``/_sandbox/``: order faults, move time, read the books. No key is asked for."""

from __future__ import annotations

import dataclasses
import math

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from evolink_mcp.sandbox.catalog import Model
from evolink_mcp.sandbox.state import sandbox_of
from evolink_mcp.sandbox.wire import MIB, Json, Refusal, read_object

MAX_ADVANCE = 10 * 365 * 86_400.0  # ten years at a time; more is no time a caller can print
_CHANGEABLE = {
    **dict.fromkeys(("image_seconds", "video_seconds", "audio_seconds", "link_seconds"), float),
    "max_files": int,
    "prices": bool,
}


async def add_fault(request: Request) -> Response:
    order = await read_object(request, MIB)
    return JSONResponse(sandbox_of(request).faults.add(order).view(), 201)


async def list_faults(request: Request) -> Response:
    return JSONResponse({"faults": sandbox_of(request).faults.views()})


async def clear_faults(request: Request) -> Response:
    sandbox_of(request).faults.clear()
    return JSONResponse({"faults": []})


async def ledger(request: Request) -> Response:
    """Every task that was created, and so paid for, whether or not anybody was told."""
    sandbox = sandbox_of(request)
    now = sandbox.clock.now()
    tasks: list[Json] = [
        {
            "id": task.id,
            "kind": task.model.kind,
            "model": task.model.name,
            "created": int(task.created),
            "status": task.status(now),
            "rendered": task.finished() is not None,
            "body": task.body,
            "key": task.owner,
        }
        for task in sandbox.tasks.all()
    ]
    return JSONResponse({"paid_tasks": len(tasks), "tasks": tasks})


async def requests(request: Request) -> Response:
    return JSONResponse({"requests": sandbox_of(request).recorder.views()})


async def callbacks(request: Request) -> Response:
    """Every call that was made at the end of a task."""
    return JSONResponse({"callbacks": list(sandbox_of(request).callbacks.calls)})


async def move_clock(request: Request) -> Response:
    seconds = (await read_object(request, MIB)).get("advance_seconds")
    clock = sandbox_of(request).clock
    clock.advance(min(_seconds("advance_seconds", seconds), MAX_ADVANCE))
    return JSONResponse({"now": clock.now(), "ahead": clock.ahead})


async def learn_model(request: Request) -> Response:
    """One more model, until the next reset: to try what the sandbox's own list does not have."""
    order = await read_object(request, MIB)
    name, kind = order.get("name"), order.get("kind")
    if not isinstance(name, str) or not name or kind not in ("image", "video", "audio"):
        raise Refusal(400, "name has to be a string and kind image, video or audio")
    sandbox_of(request).models[name] = Model(name, kind)
    return JSONResponse({"name": name, "kind": kind}, 201)


async def reset(request: Request) -> Response:
    sandbox_of(request).reset()
    return JSONResponse({"reset": True})


async def change_config(request: Request) -> Response:
    """For tasks, links and uploads made from now on."""
    sandbox = sandbox_of(request)
    changes = await read_object(request, MIB)
    unknown = sorted(changes.keys() - set(_CHANGEABLE))
    if unknown:
        raise Refusal(400, f"{', '.join(unknown)} cannot be changed; {', '.join(_CHANGEABLE)} can")
    values = {name: _seconds(name, value) for name, value in changes.items()}
    for name, value in values.items():
        changed = {name: _CHANGEABLE[name](value)}
        sandbox.config = dataclasses.replace(sandbox.config, **changed)
    return JSONResponse({name: getattr(sandbox.config, name) for name in _CHANGEABLE})


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise Refusal(400, f"{name} has to be a number that is not negative")
    return float(value)


ROUTES = [
    Route("/_sandbox/faults", add_fault, methods=["POST"]),
    Route("/_sandbox/faults", list_faults, methods=["GET"]),
    Route("/_sandbox/faults", clear_faults, methods=["DELETE"]),
    Route("/_sandbox/ledger", ledger, methods=["GET"]),
    Route("/_sandbox/requests", requests, methods=["GET"]),
    Route("/_sandbox/callbacks", callbacks, methods=["GET"]),
    Route("/_sandbox/models", learn_model, methods=["POST"]),
    Route("/_sandbox/clock", move_clock, methods=["POST"]),
    Route("/_sandbox/reset", reset, methods=["POST"]),
    Route("/_sandbox/config", change_config, methods=["PATCH"]),
]
