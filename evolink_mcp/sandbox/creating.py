"""The paid endpoints: a valid request becomes a task, and its files start to be made."""

from __future__ import annotations

import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evolink_mcp.sandbox.catalog import MediaKind, Model
from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.gate import Handler
from evolink_mcp.sandbox.plans import deviate, plan
from evolink_mcp.sandbox.prices import reserve
from evolink_mcp.sandbox.rules import check
from evolink_mcp.sandbox.state import Sandbox, account, base_url, sandbox_of
from evolink_mcp.sandbox.tasks import PREFIX, Output, Task, new_id
from evolink_mcp.sandbox.views import receipt
from evolink_mcp.sandbox.wire import MIB, Json, read_object
from evolink_mcp.sandbox.work import Work

MAX_BODY = 64 * MIB  # the only body limit the gateway's pages state


def creator(kind: MediaKind) -> Handler:
    """The endpoint that makes tasks of one kind. Success is HTTP 200."""

    async def create(request: Request) -> Response:
        sandbox = sandbox_of(request)
        owner = account(request)
        body = await read_object(request, MAX_BODY)
        model = check(body, kind, sandbox.models)

        def locate(url: str) -> Path | None:
            if url.startswith(PREFIX):
                earlier = sandbox.tasks.find(url, owner)
                path = earlier.outputs[0].path if earlier and earlier.outputs else None
                return path if path and path.exists() else None
            return sandbox.locate(request, url)

        works = deviate(plan(model, body, locate), sandbox.faults.take_for_result(f"{kind}s"))
        task = _new_task(sandbox, owner, model, body, works)
        sandbox.tasks.add(task)
        if task.fault is None:
            sandbox.renderer.add(task)
        await sandbox.callbacks.add(task, base_url(request), sandbox.faults.take_for_callback(f"{kind}s"))
        return JSONResponse(receipt(task))

    return create


def _new_task(sandbox: Sandbox, owner: str, model: Model, body: Json, works: tuple[Work, ...]) -> Task:
    created = sandbox.clock.now()
    rule, reserved = reserve(model, body)
    return Task(
        id=new_id(created),
        model=model,
        owner=owner,
        body=body,
        created=created,
        seconds=_seconds(sandbox.config, model.kind),
        link_seconds=sandbox.config.link_seconds,
        billing_rule=rule,
        reserved=reserved,
        token=secrets.token_hex(12),
        outputs=tuple(_output(sandbox, work, number) for number, work in enumerate(works, 1)),
        fault=sandbox.faults.take_for_task(f"{model.kind}s"),
    )


def _output(sandbox: Sandbox, work: Work, number: int) -> Output:
    name = f"{work.key.removesuffix('_url')}-{number}{work.suffix}"
    return Output(work, sandbox.folder.new(work.suffix), name)


def _seconds(config: SandboxConfig, kind: MediaKind) -> float:
    return {"image": config.image_seconds, "video": config.video_seconds, "audio": config.audio_seconds}[kind]
