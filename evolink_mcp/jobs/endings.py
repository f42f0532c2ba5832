"""Which tasks were told as completed by this process: a gateway may say later that one of them failed."""

from __future__ import annotations

from collections import OrderedDict

from evolink_mcp.gateway import wire

MAX_ENDINGS = 2_000


class Endings:
    """The newest completed tasks, by owner and id."""

    def __init__(self) -> None:
        self._completed: OrderedDict[tuple[str, str], None] = OrderedDict()

    def note(self, owner: str, task: wire.Task) -> None:
        """Notes a task that its owner is told of."""
        if task.status == "completed" and task.results:
            self._completed[owner, task.id] = None
            self._completed.move_to_end((owner, task.id))
            if len(self._completed) > MAX_ENDINGS:
                self._completed.popitem(last=False)

    def was_completed(self, owner: str, task_id: str) -> bool:
        """Whether its owner was told lately that this task had completed, with links."""
        return (owner, task_id) in self._completed
