"""Image, video and audio tasks: create one, read one (S0, S1, S2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal
from urllib.parse import quote

from evolink_mcp.errors import OutcomeUnknown, Refused
from evolink_mcp.gateway import routes, wire
from evolink_mcp.gateway.replies import error_from, message_in, naming
from evolink_mcp.gateway.transport import Caller
from evolink_mcp.gateway.values import MAX_TASK_ID, as_line, as_object, is_task_id
from evolink_mcp.guard.text import one_line

Media = Literal["image", "video", "audio"]
READ_SECONDS = 10.0


async def create(
    caller: Caller,
    media: Media,
    body: Mapping[str, object],
    *,
    seconds: float,
    depart: Callable[[], None] | None = None,
) -> wire.Task:
    """Creates a task: one paid POST, sent once.

    Args:
        depart: Called right before the first byte goes out; may raise to stop it.

    Raises:
        Unreachable: It never arrived; nothing was created.
        GatewayRefused: The gateway said no; nothing was created.
        OutcomeUnknown: A task may exist and be paid for.
    """
    url = caller.transport.api_url + routes.GENERATIONS[media]
    reply = await caller.ask("POST", url, seconds=seconds, json=dict(body), depart=depart)
    if not reply.ok:
        raise error_from(reply, doing=f"creating the {media} task", paid=True, request=json.dumps(body, default=str))
    task = wire.parse_task(reply.body, reply.date)
    if task is None:
        from evolink_mcp.gateway.wrappings import ids_of_tasks

        odd = as_line(as_object(reply.body).get("id"), 60)
        said = message_in(reply.body)
        ids, _ = ids_of_tasks(reply.body)
        raise OutcomeUnknown(
            f"{reply.host} answered HTTP {reply.status} "
            + (f"with a task id that cannot be one: {odd!r}." if odd else "without a task id.")
            + (f" It says: {said.rstrip('.')}." if said else "")
            + (f" {naming(ids)}." if ids else ""),
            status=reply.status,
            code="no_task_id",
            request_id=reply.request_id,
            candidate=ids[0] if len(ids) == 1 else "",
        )
    return task


async def read(caller: Caller, task_id: str, *, seconds: float = READ_SECONDS) -> wire.Task:
    """Reads one task. Its id stays the one that it was asked for by, whatever the answer calls it: there is no other
    handle on what was paid for.

    Raises:
        Refused: The id cannot be one; nothing was sent.
        GatewayError: The read failed. A task is never harmed by a failed read.
    """
    check_task_id(task_id)
    url = caller.transport.api_url + routes.TASK.format(id=quote(task_id, safe=""))
    reply = await caller.ask("GET", url, seconds=seconds)
    if reply.ok:
        task = wire.parse_task(reply.body, reply.date)
        if task is not None:
            return caller.observe(replace(task, id=task_id))
    error = error_from(reply, doing="reading the task")
    if reply.status == 404:
        step = "The task id may be wrong or expired. Use the task_id exactly as generate_* returned it."
        raise error.replace(next_step=step)
    if 200 <= reply.status < 300 and reply.excess:
        step = "Tell the user, who can find the result on the EvoLink dashboard. Do not submit the task again."
        raise error.replace(next_step=step)
    if 200 <= reply.status < 300:
        step = "Call check_task again in a moment. Do not submit the task again."
        raise error.replace(what=f"{reply.host} answered HTTP {reply.status} without a task.", next_step=step)
    raise error


def check_task_id(task_id: str) -> str:
    """Returns an id that may be sent: visible ASCII without slashes, and no path of dots.

    Raises:
        Refused: With the rule that was broken.
    """
    wrong = ""
    if not task_id:
        wrong = "it is empty"
    elif len(task_id) > MAX_TASK_ID:
        wrong = f"it has {len(task_id)} characters"
    elif not is_task_id(task_id):
        wrong = f"{one_line(task_id, 60)!r} holds characters that no task id has"
    if wrong:
        raise Refused(
            f"task_id: {wrong}.",
            code="invalid_task_id",
            next_step="Use the task_id exactly as generate_image or generate_video returned it.",
        )
    return task_id
