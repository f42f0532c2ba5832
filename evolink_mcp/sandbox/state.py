"""Everything one sandbox holds, and how its handlers reach it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from starlette.requests import Request

from evolink_mcp.sandbox.callbacks import Callbacks
from evolink_mcp.sandbox.catalog import models
from evolink_mcp.sandbox.clock import Clock
from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.faults import FaultBook
from evolink_mcp.sandbox.fetch import on_loopback
from evolink_mcp.sandbox.files import FileStore
from evolink_mcp.sandbox.folder import Folder
from evolink_mcp.sandbox.recorder import Recorder
from evolink_mcp.sandbox.render import Renderer
from evolink_mcp.sandbox.tasks import TaskBook
from evolink_mcp.sandbox.wire import Refusal


class Sandbox:
    """One embedded EvoLink: its settings, time, tasks, files, ordered faults and memory of requests."""

    def __init__(self, config: SandboxConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.models = dict(models())
        self.tasks = TaskBook()
        self.files = FileStore()
        self.faults = FaultBook()
        self.recorder = Recorder()
        self.folder = Folder()
        self.renderer = Renderer(clock)
        self.callbacks = Callbacks(clock)
        self.closing = asyncio.Event()

    def reset(self) -> None:
        """Forget everything but the settings."""
        self.models = dict(models())
        self.tasks.clear()
        self.files.clear()
        self.faults.clear()
        self.recorder.clear()
        self.callbacks.clear()
        self.clock.reset()

    def close(self) -> None:
        self.renderer.close()
        self.folder.clear()

    def locate(self, request: Request, url: str) -> Path | None:
        """The bytes behind one of this sandbox's own links, as long as the link is alive."""
        try:
            parts = urlsplit(url)
            own = parts.netloc == request.url.netloc or (on_loopback(url) and parts.port == request.url.port)
        except ValueError:
            return None
        if not own:
            return None
        now, path = self.clock.now(), unquote(parts.path)
        file = self.files.at(path)
        if file is not None:
            return file.path if now < file.expires else None
        found = self.tasks.at(path)
        expires = found[0].links_expire() if found else None
        alive = expires is not None and now < expires
        return found[1].path if found and alive and found[1].path.exists() else None


def sandbox_of(request: Request) -> Sandbox:
    return cast("Sandbox", request.app.state.sandbox)


def base_url(request: Request) -> str:
    """Where the caller reached the sandbox: the start of every link it is given."""
    return str(request.base_url).rstrip("/")


def key_hash(key: str) -> str:
    """What the sandbox keeps of a key: enough to tell two apart, nothing to use."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def bearer(authorization: str) -> str | None:
    """The key of an Authorization header."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def account(request: Request) -> str:
    """Whose request this is.

    Raises:
        Refusal: 401 without a bearer key, or with one that is not accepted.
    """
    key = bearer(request.headers.get("authorization", ""))
    accepted = sandbox_of(request).config.keys
    if key is None:
        raise Refusal(401, "The API key is missing: send Authorization: Bearer <key>")
    if accepted is not None and key not in accepted:
        raise Refusal(401, "The API key is not valid")
    return key_hash(key)
