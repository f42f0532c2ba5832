"""What a call will cost, asked of the gateway: public rules and list, and its own estimate.

All three are known from public clients only. A gateway that does not answer, or answers something else, is left alone
for an hour; what it told is good for a day, also for the next process. Nothing here raises: an unknown price is
``None``, and no call waits longer for one than it says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio.to_thread

from evolink_mcp import cache
from evolink_mcp.errors import GatewayError
from evolink_mcp.gateway import routes
from evolink_mcp.gateway.pricing import Listed, Rules, parse_list, parse_rules
from evolink_mcp.gateway.transport import Caller, Transport
from evolink_mcp.gateway.values import as_number, as_object

DAY_SECONDS = 24 * 3600.0
REST_SECONDS = 3600.0  # after an answer that was none
ASK_SECONDS = 3.0  # for one request; a call waits no longer
MAX_ANSWERS = 300  # answers in memory, and files on disk
MAX_FILE = 2 * 1024 * 1024  # bytes
NOT_OFFERED = frozenset({404, 405, 501})

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Answer:
    """What a path answered, or ``None``, and when that was (seconds since 1970)."""

    body: object
    at: float


class Prices:
    """The gateway's prices, each asked for once and remembered.

    Args:
        now: Seconds since 1970.
        folder: Where answers are kept for the next process; ``None`` for nowhere.
    """

    def __init__(self, transport: Transport, now: Callable[[], float], folder: Path | None = None) -> None:
        self._public = Caller(transport, "")
        self._now = now
        self._folder = folder
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._asking: dict[str, asyncio.Task[object]] = {}
        self._rest_until: OrderedDict[str, float] = OrderedDict()
        self._list: tuple[object, Mapping[str, Listed]] = (None, {})

    async def rules(self, model: str, *, seconds: float = ASK_SECONDS) -> Rules | None:
        """The pricing rules of a model."""
        path = routes.PRICING_RULES.format(id=quote(model.lower(), safe=""))
        return parse_rules(await self._body(path, seconds))

    async def listed(self, *, seconds: float = ASK_SECONDS) -> Mapping[str, Listed]:
        """The price list, by model."""
        body = await self._body(routes.PRICES, seconds)
        if body is not self._list[0]:
            self._list = (body, parse_list(body))
        return self._list[1]

    async def estimate(
        self, caller: Caller, model: str, operation: str, parameters: Mapping[str, object], *, seconds: float
    ) -> float | None:
        """The gateway's own estimate in credits, for this caller. Free."""
        everywhere, here = "", f"{caller.account} {model}"
        if any(self._now() < self._rest_until.get(each, 0.0) for each in (everywhere, here)):
            return None
        request = {"model_id": model, "operation": operation, "parameters": dict(parameters), "expected_usage": {}}
        url = caller.transport.api_url + routes.ESTIMATES
        status, credits = 0, None
        try:
            reply = await caller.ask("POST", url, seconds=min(seconds, ASK_SECONDS), json=request)
            status = reply.status
            credits = _quoted(reply.body) if reply.ok else None
        except GatewayError as error:
            logger.debug("No estimate: %s", error.code)
        if credits is None:
            # A refusal of one request says nothing of others.
            self._rest(here if 400 <= status < 500 and status not in NOT_OFFERED else everywhere)
        return credits

    async def aclose(self) -> None:
        """Asks no more."""
        for task in list(self._asking.values()):
            task.cancel()
            await asyncio.wait([task], timeout=1)

    def _rest(self, what: str) -> None:
        self._rest_until[what] = self._now() + REST_SECONDS
        while len(self._rest_until) > MAX_ANSWERS:
            self._rest_until.popitem(last=False)

    async def _body(self, path: str, seconds: float) -> object:
        """The answer of a public path, as JSON; ``None`` where there is none within ``seconds``.

        Callers that come meanwhile wait for the same request; it goes on when they have gone.
        """
        answer = self._answers.get(path)
        if answer is not None and self._is_good(answer):
            return answer.body
        task = self._asking.get(path)
        if task is None:
            task = self._asking[path] = asyncio.create_task(self._ask(path))
            task.add_done_callback(lambda _: self._asking.pop(path, None))
        done, _ = await asyncio.wait([task], timeout=max(seconds, 0.0))
        return task.result() if done and not task.cancelled() else None

    def _is_good(self, answer: _Answer) -> bool:
        return 0 <= self._now() - answer.at < (REST_SECONDS if answer.body is None else DAY_SECONDS)

    async def _ask(self, path: str) -> object:
        """What is on disk, else what the gateway answers; kept in memory, and on disk where it is something."""
        answer = await anyio.to_thread.run_sync(self._read, path)
        if answer is None:
            body: object = None
            try:
                reply = await self._public.ask("GET", self._public.transport.api_url + path, seconds=ASK_SECONDS)
                body = reply.body if reply.ok and (parse_rules(reply.body) or parse_list(reply.body)) else None
            except GatewayError as error:
                logger.debug("No prices at %s: %s", path, error.code)
            answer = _Answer(body, self._now())
            if body is not None:
                await anyio.to_thread.run_sync(self._write, path, answer)
        self._answers[path] = answer
        while len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)
        return answer.body

    def _file(self, path: str) -> str:
        """Where an answer is kept; "" for nowhere."""
        name = hashlib.sha256(f"{self._public.transport.api_url}{path}".encode()).hexdigest()[:32]
        return os.path.join(self._folder, f"{name}.json") if self._folder is not None else ""

    def _read(self, path: str) -> _Answer | None:
        """What another process was told within a day."""
        try:
            content = as_object(json.loads(cache.read(self._file(path), MAX_FILE) or b"{}"))
        except (ValueError, RecursionError):
            return None
        answer = _Answer(content.get("body"), as_number(content.get("at")) or 0.0)
        return answer if answer.body is not None and self._is_good(answer) else None

    def _write(self, path: str, answer: _Answer) -> None:
        """Keeps an answer; a disk that does not take it is no reason to fail."""
        content = json.dumps({"at": answer.at, "body": answer.body}).encode()
        if self._folder is None or len(content) > MAX_FILE:
            return
        try:
            cache.write(self._file(path), content, MAX_ANSWERS)
        except OSError as error:
            logger.debug("Prices are not kept: %s", error)


def _quoted(body: object) -> float | None:
    """The credits of an estimate, whatever envelope it comes in."""
    outer = as_object(body)
    for answer in (outer, as_object(outer.get("data")), as_object(outer.get("estimate"))):
        amounts: tuple[Mapping[str, Any], ...] = (as_object(answer.get("amounts")), answer)
        for amount in amounts:
            for name in ("credits", "estimated_credits", "total_credits"):
                credits = as_number(amount.get(name))
                if credits is not None and credits >= 0:
                    return credits
    return None


def price_folder() -> Path | None:
    """Where this user's prices are kept; ``None`` where the user has no home folder."""
    import platformdirs

    try:
        folder = platformdirs.user_cache_path("evolink-mcp")
    except RuntimeError:
        return None
    return folder / "prices" if folder.is_absolute() else None
