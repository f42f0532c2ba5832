"""Several processes behind one port (``--workers``): each is a replica, and the store is what they have in common.

The parent binds the port and starts the workers. It serves nothing itself: it starts a worker anew that has died, and
passes on the signal that ends them all.

On Linux each worker listens for itself and the system spreads connections among them: from one common listener, the
worker that wakes first would take all that wait, and one could get nearly every kept connection. The parent's socket
keeps the port for workers that are started anew. Elsewhere all of them listen on that socket. A worker listens once it
can serve, so that no connection waits for its start.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import anyio
from anyio.abc import TaskStatus

from evolink_mcp.errors import SettingsError
from evolink_mcp.guard.logs import set_up_logging
from evolink_mcp.settings import Settings
from evolink_mcp.settings.places import bucket_secrets
from evolink_mcp.transports.ending import SIGNALS, Signals, end_signals
from evolink_mcp.transports.http.logs import limit_repeats
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.serve import bind, run_http, url_of

RESTART_SECONDS = 1.0  # so that workers that die at once do not take the machine with them
READY_SECONDS = 60.0
SPREADS = sys.platform == "linux"  # elsewhere SO_REUSEPORT gives all connections to one, or is missing

logger = logging.getLogger(__name__)


async def run_workers(settings: Settings, options: HttpOptions, on_ready: Callable[[str], None] | None) -> None:
    """Serves with ``options.workers`` processes until a signal. ``on_ready`` is called once all of them serve.

    Raises:
        SettingsError: It cannot be served safely as asked for.
        OSError: The address cannot be bound.
    """
    options = options.complete(settings)
    options.check(settings)
    if options.sse:
        logger.warning("With workers, /sse is off: its messages could meet another worker than its stream.")
        options = replace(options, sse=False)
    place = bind(options.host, options.port)
    with place, end_signals() as signals:
        options = replace(options, port=place.getsockname()[1])
        fleet = Workers(partial(_work, settings, options, None if SPREADS else place), options.workers)
        async with anyio.create_task_group() as group:
            group.start_soon(fleet.stop_at, signals, place)
            async with anyio.create_task_group() as starts:
                for number in range(options.workers):
                    starts.start_soon(group.start, fleet.keep, number + 1)
            if on_ready is not None and not fleet.stopping:
                on_ready(url_of(options.host, place))
            await fleet.ended.wait()
            group.cancel_scope.cancel()
    logger.info("All workers have stopped")


class Workers:
    """The processes. ``work`` is what each does, and is given the end of a pipe to tell that it serves."""

    def __init__(self, work: Callable[[Connection], None], number: int) -> None:
        self.stopping = False
        self.ended = anyio.Event()
        self._work = work
        self._left = number
        self._running: dict[int, BaseProcess] = {}

    async def keep(self, number: int, *, task_status: TaskStatus[None]) -> None:
        """Has a worker of this number, until all are to stop. It is kept once it has served for the first time."""
        started = False
        while not self.stopping:
            try:
                process, ready = self._start(number)
            except OSError as problem:  # no memory, no descriptor: the others serve on
                if not started:
                    raise
                logger.error("Worker %d cannot be started (%s); it is tried again", number, problem.strerror)
                await anyio.sleep(RESTART_SECONDS)
                continue
            self._running[number] = process
            with anyio.move_on_after(READY_SECONDS):
                await anyio.wait_readable(ready.fileno())  # it serves, or has ended
            if not started:
                task_status.started()
                started = True
            await anyio.wait_readable(process.sentinel)
            ready.close()
            del self._running[number]
            if not self.stopping:
                logger.error("Worker %d ended with code %s; another one is started", number, process.exitcode)
                await anyio.sleep(RESTART_SECONDS)
        if not started:
            task_status.started()
        self._left -= 1
        if not self._left:
            self.ended.set()

    def _start(self, number: int) -> tuple[BaseProcess, Connection]:
        """A new worker, and the end of the pipe on which it tells that it serves.

        Raises:
            OSError: The system has no room for it.
        """
        context = multiprocessing.get_context("spawn")
        ready, told = context.Pipe(duplex=False)
        try:
            process = context.Process(target=self._work, args=(told,), name=f"worker-{number}")
            process.start()
        except OSError:
            ready.close()
            raise
        finally:
            told.close()
        return process, ready

    async def stop_at(self, signals: Signals, place: socket.socket) -> None:
        """At the first signal has all workers end in order, at a second at once."""
        while True:
            await signals.get()
            self.stopping = True
            place.close()
            for process in list(self._running.values()):
                process.terminate()


def _work(settings: Settings, options: HttpOptions, listener: socket.socket | None, ready: Connection) -> None:
    """A worker, from its start to its end: that of its parent included."""
    for each in SIGNALS:
        if each != signal.SIGTERM:  # a terminal tells the whole family, and the parent passes it on
            signal.signal(each, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True, name="parent").start()
    set_up_logging(settings.log_level, settings.api_key, *bucket_secrets(os.environ), json_lines=options.json_lines)
    limit_repeats()
    try:
        listener = listener or bind(options.host, options.port, shared=True)
        anyio.run(run_http, settings, options, False, ready.send, listener)
    except SettingsError as error:
        logger.error("%s", error.render(paid=False))
    except OSError as error:  # another program listens there, since the last worker ended
        logger.error("%s", error)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
