"""A paid call, what the sandbox saw of it, and callers who leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
from mcp.client import Client

from tests.support import Sandbox

Connect = Callable[..., Client]
CALL: dict[str, Any] = {"prompt": "a red kite", "model": "gpt-image-2"}


def posts(sandbox: Sandbox) -> int:
    """How many paid requests arrived."""
    return len(sandbox.requests("/v1/images/generations"))


def ids(sandbox: Sandbox) -> list[str]:
    """The tasks that were made, oldest first."""
    return [task["id"] for task in sandbox.ledger()["tasks"]]


async def cancelled(client: Client, after: Callable[[], bool], **arguments: object) -> None:
    """Calls generate_image and goes away as soon as ``after`` holds."""
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "generate_image", arguments)
        with anyio.fail_after(60):
            while not after():
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
