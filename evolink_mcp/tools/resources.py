"""Resources that hosts attach without a tool call: the models, one model in full, one task.

Each is the structured content of the matching tool, as JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from evolink_mcp.errors import EvolinkError, GatewayError, Refused
from evolink_mcp.guard.secrets import clean, redact
from evolink_mcp.tools.models import models_view
from evolink_mcp.tools.views import View, flat

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App

JSON = "application/json"


def add_resources(server: MCPServer, app: App) -> None:
    """Adds ``evolink://models``, ``evolink://models/{id}`` and ``evolink://tasks/{id}``."""

    @server.resource(
        "evolink://models",
        name="models",
        title="EvoLink models",
        description="Every model, in short. Free, works offline.",
        mime_type=JSON,
    )
    def models() -> str:
        return _json(models_view(app, brief=False))

    @server.resource(
        "evolink://models/{id}",
        name="model",
        title="One model in full",
        description="All one model takes: parameters, limits, an example. Free, works offline.",
        mime_type=JSON,
    )
    def model(id: str) -> str:
        try:
            return _json(models_view(app, model=id))
        except Refused as refused:
            raise ResourceNotFoundError(refused.render(paid=False)) from None

    @server.resource(
        "evolink://tasks/{id}",
        name="task",
        title="One task",
        description="The status of a task and, once completed, its links. Free. check_task also waits and saves.",
        mime_type=JSON,
    )
    async def task(id: str, context: Context[Any, Any]) -> str:
        from evolink_mcp.gateway import media
        from evolink_mcp.tools.call import Call
        from evolink_mcp.tools.recall import amend_failure, with_saved_files
        from evolink_mcp.tools.task_view import task_view

        call = Call(app, context)
        try:
            await call.admit()
            await call.check_own("task", media.check_task_id(id))
            record = await media.read(call.caller, id)
        except EvolinkError as error:
            unknown = isinstance(error, Refused) or (isinstance(error, GatewayError) and error.status == 404)
            kind = ResourceNotFoundError if unknown else ResourceError
            error = await with_saved_files(call, id, error)
            raise kind(redact(error.render(paid=False))) from None
        view = task_view(record, now=app.clock.now(), local=app.local_files)
        await amend_failure(call, view)
        return _json(view)

    _ = models, model, task


def _json(view: View) -> str:
    return json.dumps(clean(flat(view).model_dump(mode="json", exclude_none=True)), ensure_ascii=False)
