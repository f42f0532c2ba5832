"""An event loop whose time passes only while nobody has anything to do, and processes in it that can die.

A minute of waiting takes no time, and the same program goes the same way each time. Every step of every task is counted
for its process: an event can come at each of them, that is at every await of what a process does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from pathlib import Path
from typing import Any, TypeVar

import pytest

import evolink_mcp
from tests.contract.ledgers import AT_REST, set_silence

T = TypeVar("T")
PACKAGE = str(Path(evolink_mcp.__file__).parent)
PLACES = (PACKAGE, str(Path(__file__).with_name("visit.py")))  # whose awaits have a name
MAX_SECONDS = 10_000.0  # of an episode: longer than anything in it may take
MAX_ROUNDS = 10_000  # without any time that passes: more than anybody needs


class Stuck(AssertionError):
    """Somebody waits for ever, or does not wait at all."""


class Life:
    """A process: what runs as its own runs no more once it is dead.

    ``watch`` hears where each step came to wait, and says with what error it goes on from there, if with any.
    """

    def __init__(self) -> None:
        self.is_dead = False
        self.watch: Callable[[str], Exception | None] | None = None

    @contextmanager
    def living(self) -> Generator[None]:
        """Tasks that are made inside are of this process."""
        token = _LIFE.set(self)
        try:
            yield
        finally:
            _LIFE.reset(token)


_LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class _Steps(Coroutine[Any, Any, Any]):
    """A task's coroutine, step by step. One of a dead process goes on only to be thrown away."""

    def __init__(self, inner: Any, life: Life) -> None:
        self._inner = inner
        self._life = life
        self._error: Exception | None = None
        self.is_over = False

    def send(self, value: Any) -> Any:
        if self._life.is_dead:
            return self._stand_still()
        error, self._error = self._error, None
        result = self._inner.send(value) if error is None else self._inner.throw(error)
        if self._life.watch is not None:
            self._error = self._life.watch(place(self._inner))
        return result

    def throw(self, *error: Any) -> Any:
        if self._life.is_dead and not self.is_over:
            return self._stand_still()
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError

    def _stand_still(self) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        future._asyncio_future_blocking = True  # as ``await`` does
        return future


class QuickLoop(asyncio.BaseEventLoop):
    """The loop. It is a selector of its own, which has nothing to select from."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1_000.0
        self._rounds = 0
        self._selector = self
        self._tasks: list[asyncio.Task[Any]] = []  # nothing else holds on to one that stands still
        self.set_task_factory(self._make)

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise Stuck("nothing goes on any more")
        self._rounds = 0 if timeout else self._rounds + 1
        if self._rounds > MAX_ROUNDS:
            raise Stuck("it goes round and round")
        self._now += timeout
        if self._now > MAX_SECONDS:
            raise Stuck("it goes on for ever")
        return []

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs an episode, and throws away whatever stands still at its end."""
        asyncio.set_event_loop(self)
        try:
            result = self.run_until_complete(main())
            self._look_for_faults()
            return result
        finally:
            self._throw_away()
            asyncio.set_event_loop(None)
            self.close()

    def _look_for_faults(self) -> None:
        """What a task of a process raised has to have been heard by somebody."""
        for task in self._tasks:
            is_ended = task.done() and not task.cancelled() and isinstance(task.get_coro(), _Steps)
            if is_ended and task._log_traceback:
                raise AssertionError("nobody heard of an error") from task.exception()

    def _throw_away(self) -> None:
        while tasks := [task for task in self._tasks if not task.done()]:  # who is thrown away may begin something
            for task in tasks:
                if isinstance(steps := task.get_coro(), _Steps):
                    steps.is_over = True
                task.cancel()
            self.run_until_complete(asyncio.wait(tasks))

    def _make(
        self, loop: asyncio.AbstractEventLoop, inner: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        life = _LIFE.get() if context is None else context.get(_LIFE)
        task = asyncio.Task(inner if life is None else _Steps(inner, life), loop=loop, name=name, context=context)
        self._tasks.append(task)
        return task

    def _process_events(self, event_list: list[object]) -> None: ...

    def _write_to_self(self) -> None: ...


def place(at: Any) -> str:
    """Where in ``PLACES`` a coroutine waits, from the outside in; "" where it does not."""
    lines: list[str] = []
    while at is not None:
        frame: Any = getattr(at, "cr_frame", None) or getattr(at, "ag_frame", None)
        code: Any = getattr(frame, "f_code", None)
        if code and code.co_filename.startswith(PLACES):
            module = code.co_filename[code.co_filename.rfind("/") + 1 : -3]
            lines.append(f"{module}.{code.co_name}:{frame.f_lineno}")
        if code and code.co_name in ("__aenter__", "__aexit__"):
            at = getattr(frame.f_locals["self"], "gen", None)  # the block of a context manager goes on there
        else:
            at = getattr(at, "cr_await", None) or getattr(at, "ag_await", None)
    return " > ".join(lines)


def play(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Plays one episode in a loop of its own, by whose time all clocks go."""
    loop = QuickLoop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", loop.time)
        set_silence(patch, AT_REST)  # here no machine is too busy to let a process run
        return loop.run(main)
