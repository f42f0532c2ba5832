"""The connection to the store: short time-outs, and a rest after every failure."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from evolink_mcp.gateway.values import as_object
from evolink_mcp.jobs.ledger import Away

PREFIX = "evolink:"
CONNECT_SECONDS = 0.25
READ_SECONDS = 0.25
WHOLE_SECONDS = 0.5  # one command, connecting included
REST_SECONDS = 5.0  # after a failure the store is left alone for so long
LOG_SECONDS = 60.0
CONNECTIONS = 16
KEEPS = "noeviction"  # the policy of a store that forgets nothing before its time
RECONNECT_SECONDS = 1.0  # between two attempts to listen, which hold nobody up
LISTEN_SECONDS = 15.0  # without a word, after which a listener asks whether the store is still there

logger = logging.getLogger(__name__)


class Store:
    """Commands to Redis or Valkey.

    ``failures`` counts those that failed, since the start; ``problem`` is the kind of the last one, until one succeeds.
    """

    def __init__(self, url: str) -> None:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        self.failures = 0
        self.problem = ""
        self._errors = (RedisError, OSError, TimeoutError, UnicodeError)
        pool: Any = BlockingConnectionPool

        def connect(connections: int, connect_seconds: float, **more: Any) -> Any:
            return Redis.from_pool(
                pool.from_url(
                    url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
                    max_connections=connections,
                    timeout=CONNECT_SECONDS,
                    socket_connect_timeout=connect_seconds,
                    retry=Retry(NoBackoff(), 0),
                    decode_responses=True,
                    protocol=2,
                    client_name="evolink-mcp",
                    **more,
                )
            )

        self._client: Any = connect(CONNECTIONS, CONNECT_SECONDS, socket_timeout=READ_SECONDS)
        self._connect = connect
        self._rests_until = 0.0
        self._logged = -LOG_SECONDS
        self._judged = False

    async def ask(self, *command: str | int | float, insist: bool = False) -> Any:
        """One command's answer: strings, whole numbers, ``None``, lists and dicts of them.

        Args:
            insist: Asks also while the store rests after a failure.

        Raises:
            Away: There is none. The command may still have been carried out.
        """
        now = time.monotonic()
        if now < self._rests_until and not insist:
            raise Away
        resting, self._rests_until = self._rests_until, 0.0
        if resting:
            self._rests_until = now + REST_SECONDS  # one call tries whether it is back, the others go on without
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                answer = await self._client.execute_command(*command)
        except self._errors as error:
            self._failed(error)
            raise Away from error
        self.problem = ""
        if resting:
            logger.info("The shared state answers again")
            self._rests_until = 0.0
        if not self._judged:
            self._judged = True
            await self._judge()
        return answer

    async def _judge(self) -> None:
        """Warns of a store that may evict what it holds. A store that does not tell is taken as it is."""
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                facts = as_object(await self._client.execute_command("INFO", "memory"))
        except self._errors:
            return
        policy = str(facts.get("maxmemory_policy", KEEPS))
        if policy != KEEPS and facts.get("maxmemory"):
            logger.warning(
                "The shared state (EVOLINK_STATE_URL) evicts when it is full (maxmemory-policy %s): it may forget "
                "which paid requests are under way. Set it to %s.",
                policy,
                KEEPS,
            )

    async def listen(self, channel: str, act: Callable[[str], None], change: Callable[[bool], None]) -> None:
        """Hears what is published, until it is cancelled. What is published while the store is away is lost.

        Args:
            change: Is told whether it hears.
        """
        level = logging.WARNING  # the first time
        while True:
            client = self._connect(1, LISTEN_SECONDS)
            try:
                await self._hear(client, channel, act, change)
            except self._errors as error:
                logger.log(
                    level, "What other replicas say is not heard here (%s); tasks are polled", type(error).__name__
                )
                level = logging.DEBUG
            finally:
                change(False)
                await client.aclose()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _hear(
        self, client: Any, channel: str, act: Callable[[str], None], change: Callable[[bool], None]
    ) -> None:
        async with client.pubsub() as words:
            await words.subscribe(channel)
            silent = False
            while True:
                message = await words.get_message(timeout=LISTEN_SECONDS)
                if message is None and silent:
                    return
                silent = message is None
                if message is None:
                    await words.ping()
                elif message["type"] == "subscribe":
                    change(True)
                elif message["type"] == "message":
                    act(message["data"])

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        self.failures += 1
        self.problem = type(error).__name__
        self._rests_until = now + REST_SECONDS
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            logger.warning(
                "The shared state (EVOLINK_STATE_URL) does not answer (%s); replicas do not know of each other. "
                "Failures since the start: %d",
                type(error).__name__,
                self.failures,
            )


def loaded(value: object) -> Any:
    """The JSON in a value of the store; ``None`` where it holds something else."""
    try:
        return json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return None


def key(owner: str, what: str, *parts: str) -> str:
    """The name of a value: by owner; what callers wrote is hashed."""
    named = ":".join(hashlib.sha256(part.encode()).hexdigest()[:32] for part in parts)
    return f"{PREFIX}{owner}:{what}:{named}" if named else f"{PREFIX}{owner}:{what}"
