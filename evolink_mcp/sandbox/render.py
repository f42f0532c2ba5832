"""Turns a task's plan into files, in threads of its own, so that the server keeps answering."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from evolink_mcp.sandbox.clock import Clock
from evolink_mcp.sandbox.tasks import Output, Task
from evolink_mcp.sandbox.work import BadReference, Film, Picture, Stopped

logger = logging.getLogger(__name__)

WORKERS = 2


class Renderer:
    """A small pool of threads. ``add`` returns at once; the task learns when its files are there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed = False
        self._jobs: set[Future[None]] = set()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="sandbox-render")

    def add(self, task: Task) -> None:
        job = self._pool.submit(self._run, task)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def wait(self, seconds: float) -> bool:
        """Block until nothing is left to make, at most ``seconds``. Whether that is so. Not for the event loop."""
        return not wait(list(self._jobs), seconds).not_done

    def close(self) -> None:
        """Abandon what is unfinished and wait for the threads: a fraction of a second."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, task: Task) -> None:
        def going_on() -> bool:
            return not (self._closed or task.dropped)

        try:
            for output in task.outputs:
                if not going_on():
                    raise Stopped
                _make(output, going_on)
        except Stopped:
            pass
        except BadReference as problem:
            logger.warning("task %s: %s", task.id, problem)
            task.failure = ("image_processing_error", "The reference image could not be read.")
        except Exception:  # the top of this thread: whatever went wrong, the task must end
            logger.exception("task %s could not be rendered", task.id)
            task.failure = ("service_error", "The sandbox could not make the file; see its log.")
        task.rendered = self._clock.now()
        if not going_on():
            for output in task.outputs:
                output.path.unlink(missing_ok=True)


def _make(output: Output, going_on: Callable[[], bool]) -> None:
    # Imported here: Pillow and PyAV are needed only once something is to be made.
    work, path = output.work, output.path
    if isinstance(work, Picture):
        from evolink_mcp.sandbox.drawing import paint

        paint(work, path)
    elif isinstance(work, Film):
        from evolink_mcp.sandbox.film import shoot

        shoot(work, path, going_on)
    else:
        from evolink_mcp.sandbox.sound import play

        play(work, path)
