"""The free endpoints of the gateway: one task, several, the list, and the balance."""

from __future__ import annotations

from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evolink_mcp.sandbox.state import account, base_url, sandbox_of
from evolink_mcp.sandbox.tasks import PREFIX, Task
from evolink_mcp.sandbox.views import line, whole
from evolink_mcp.sandbox.wire import MIB, Refusal, read_object, whole_number

MOST_IN_BATCH = 50
MOST_ON_PAGE = 100
OPENING_CREDITS = 10_000.0  # what every key of the sandbox starts with


async def read_task(request: Request) -> Response:
    """One task.

    Raises:
        Refusal: 400 for an id that cannot be one, 404 for one this key does not have.
    """
    sandbox = sandbox_of(request)
    owner = account(request)
    ident = str(request.path_params["task_id"])
    if not ident.startswith(PREFIX):
        raise Refusal(400, f"a task id starts with {PREFIX}", code="invalid_task_id", param="task_id")
    task = sandbox.tasks.find(ident, owner)
    if task is None:
        raise Refusal(404, "there is no such task", code="task_not_found", param="task_id")
    return JSONResponse(whole(task, sandbox.clock.now(), base_url(request)))


async def read_batch(request: Request) -> Response:
    """Up to 50 tasks; those unknown or another key's are left out without a word."""
    sandbox = sandbox_of(request)
    owner = account(request)
    ids = (await read_object(request, MIB)).get("task_ids")
    if not isinstance(ids, list) or not 1 <= len(cast("list[object]", ids)) <= MOST_IN_BATCH:
        raise Refusal(400, f"task_ids has to be an array of 1 to {MOST_IN_BATCH} ids", param="task_ids")
    tasks = (sandbox.tasks.find(str(ident), owner) for ident in cast("list[object]", ids))
    now = sandbox.clock.now()
    return JSONResponse(
        {"code": 200, "data": [whole(task, now, base_url(request)) for task in tasks if task is not None]}
    )


async def list_tasks(request: Request) -> Response:
    """Newest first, filtered by ``status``, ``type`` and ``model``."""
    sandbox = sandbox_of(request)
    now = sandbox.clock.now()
    owner = account(request)
    page = whole_number(request, "page", 1, 1_000_000)
    size = whole_number(request, "page_size", 20, MOST_ON_PAGE)

    def matches(task: Task) -> bool:
        has = {"status": task.status(now), "type": task.model.kind, "model": task.model.name}
        return all(request.query_params.get(name, value) == value for name, value in has.items())

    tasks = [task for task in reversed(sandbox.tasks.of(owner)) if matches(task)]
    rows = tasks[(page - 1) * size : page * size]
    data = [line(task, now) for task in rows]
    return JSONResponse({"object": "list", "total": len(tasks), "page": page, "page_size": size, "data": data})


async def list_models(request: Request) -> Response:
    """Every model that can be called. No page describes this list; its shape is the usual one."""
    account(request)
    models = sandbox_of(request).models.values()
    data = [{"id": model.name, "object": "model"} for model in models if not model.placeholder]
    return JSONResponse({"object": "list", "data": data})


async def read_credits(request: Request) -> Response:
    """The balance of the account; the key has no limit of its own. Held credits count as used."""
    sandbox = sandbox_of(request)
    owner = account(request)
    now = sandbox.clock.now()
    used = round(sum(task.credits(task.status(now)) for task in sandbox.tasks.of(owner)), 2)
    balance = {"remaining_credits": max(0.0, round(OPENING_CREDITS - used, 2)), "used_credits": used}
    token = {**balance, "unlimited_credits": True}
    return JSONResponse({"success": True, "message": "", "data": {"user": balance, "token": token}})
