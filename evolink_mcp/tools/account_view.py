"""The views of list_tasks and check_balance."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, PrivateAttr

from evolink_mcp.errors import BILLING_PAGE
from evolink_mcp.gateway import wire
from evolink_mcp.gateway.wire import FINAL
from evolink_mcp.jobs.history import TaskRecord
from evolink_mcp.tools.money import credits, money_line
from evolink_mcp.tools.task_view import LINK_SECONDS
from evolink_mcp.tools.times import counted, iso, with_distance
from evolink_mcp.tools.views import View

URGENT_AGE_SECONDS = 18 * 3600  # of the 24 h that a link lives; an unsaved result older than this is marked


class ListedTask(BaseModel):
    """One task. ``credits_reserved`` and ``credits_used`` are older names, until the next release."""

    task_id: str
    kind: str | None = None
    model: str | None = None
    status: str
    progress: int | None = None
    created_at: str | None = None
    prompt: str | None = None
    result_count: int | None = None
    results: list[str] | None = None
    links_die_at: str | None = None
    save_now: bool | None = None
    saved_paths: list[str] | None = None
    copy_urls: list[str] | None = None
    credits_held: float | None = None
    credits_charged: float | None = None
    credits_reserved: float | None = None
    credits_used: float | None = None
    error: str | None = None

    _now: float = PrivateAttr(default=0.0)

    def set_now(self, now: float) -> None:
        """The present, in seconds since 1970: from there its times are told."""
        self._now = now

    def _time(self, moment: str | None) -> str:
        return with_distance(moment or "", self._now)

    def as_text(self) -> str:
        facts = [self.status, self.kind, self.model, f"made {self._time(self.created_at)}" if self.created_at else None]
        if self.progress is not None and self.status == "processing":
            facts[0] = f"{self.status} {self.progress} %"
        facts.append(counted(self.result_count, "result") if self.result_count else None)
        ended = self.status in FINAL
        if self.credits_reserved is not None or self.credits_charged is not None:
            line = money_line(final=ended, held=self.credits_reserved, charged=self.credits_charged)
            facts.append(line[0].lower() + line[1:].rstrip("."))
        lines = [f"- {self.task_id}: {', '.join(fact for fact in facts if fact)}"]
        lines += [f"  Prompt: {self.prompt}"] if self.prompt else []
        lines += [f"  Error: {self.error}"] if self.error else []
        lines += [f"  Result: {url}" for url in self.results or []]
        lines += [f"  Saved: {path}" for path in self.saved_paths or []]
        lines += [f"  Copy: {url}" for url in self.copy_urls or []]
        if self.save_now:
            lines.append(f"  NOT SAVED, and its links die {self._time(self.links_die_at)}")
        elif self.links_die_at:
            lines.append(f"  Links die {self._time(self.links_die_at)}")
        return "\n".join(lines)


class TasksView(View):
    """Tasks, newest first."""

    tasks: list[ListedTask]
    total: int | None = None
    page: int
    page_size: int
    credits_charged: float | None = None
    credits_held: float | None = None
    notes: list[str] | None = None
    next_step: str

    def as_text(self) -> str:
        total = f" of {self.total}" if self.total is not None else ""
        lines = [f"{counted(len(self.tasks), 'task')}{total} (page {self.page}, {self.page_size} per page)"]
        lines += [task.as_text() for task in self.tasks]
        if self.credits_charged is not None and self.credits_held is not None:
            lines.append(
                f"Total of these {len(self.tasks)}: {credits(self.credits_charged)} credits charged, "
                f"{credits(self.credits_held)} held"
            )
        lines += [f"Note: {note}" for note in self.notes or []]
        return "\n".join([*lines, f"Next: {self.next_step}"])


class BudgetView(BaseModel):
    remaining_credits: float | None = None
    used_credits: float | None = None
    unlimited: bool | None = None

    def as_text(self, name: str) -> str:
        remaining = "unlimited" if self.unlimited else _credits(self.remaining_credits)
        return f"{name}: {remaining} remaining, {_credits(self.used_credits)} used"


class SpentView(BaseModel):
    """What was spent through this server. ``since`` says from when, where that is not the whole time."""

    charged_today: float
    held: float
    charged_this_month: float
    since: str | None = None

    def as_text(self) -> str:
        since = f", {self.since}" if self.since else ""
        return (
            f"Spent through this server{since}: {credits(self.charged_today)} credits today, "
            f"{credits(self.charged_this_month)} this month; {credits(self.held)} held by running tasks"
        )


class BalanceView(View):
    """Credits. ``spendable_credits`` is what the next calls may cost together; ``unsaved`` tasks are paid for, and this
    server knows of no saved copy while their links live.
    """

    spendable_credits: float | None = None
    user: BudgetView
    key: BudgetView
    spent: SpentView | None = None
    unsaved: list[str] | None = None
    next_step: str

    _saves: bool = PrivateAttr(default=True)

    def set_saves(self, saves: bool) -> None:
        """Whether this server saves or keeps what it fetches."""
        self._saves = saves

    @classmethod
    def of(cls, spendable: float | None, user: BudgetView, key: BudgetView) -> BalanceView:
        """The balance, with what it means for the next call."""
        if user.unlimited and key.unlimited:
            next_step = "Neither the account nor the key has a limit. dry_run=true tells what a call would cost."
        elif spendable is None:
            next_step = "The gateway does not say what remains. Tell the user to look at the EvoLink dashboard."
        elif spendable > 0:
            next_step = "dry_run=true tells what a call would cost, where that is known."
        elif user.remaining_credits is not None and user.remaining_credits <= 0:
            next_step = f"The account is empty. Ask the user to top up at {BILLING_PAGE}."
        else:
            next_step = "The key's own limit is used up. Ask the user to raise it, or for another key."
        return cls(spendable_credits=spendable, user=user, key=key, next_step=next_step)

    def as_text(self) -> str:
        unlimited = self.user.unlimited and self.key.unlimited
        spendable = "unlimited" if unlimited else _credits(self.spendable_credits)
        return "\n".join(
            [
                f"Credits that can be spent: {spendable}",
                self.user.as_text("Account"),
                self.key.as_text("Key"),
                *([self.spent.as_text()] if self.spent else []),
                *(
                    [
                        f"Paid for and not saved: {', '.join(self.unsaved)}. "
                        + (
                            "check_task fetches each."
                            if self._saves
                            else "check_task shows the links: give them to the user."
                        )
                    ]
                    if self.unsaved
                    else []
                ),
                f"Next: {self.next_step}",
            ]
        )


def list_task(
    task: wire.Task, memory: TaskRecord | None, saved: Sequence[str], copies: Sequence[str], *, now: float
) -> ListedTask:
    """One line of the list: the gateway's task, what the history knows of it, its saved files that exist, and the
    addresses of its copies.
    """
    stated = len(task.results) or task.result_count
    # If the list does not say how many results a completed task has, assume one, lest its link dies unseen.
    count = stated if stated is not None else int(task.status == "completed" and not task.outputs)
    end = task.created + LINK_SECONDS if task.created is not None else None
    age = task.age_at(now)
    alive = task.status == "completed" and count > 0 and age is not None and age < LINK_SECONDS
    unsaved = alive and age is not None and max(len(saved), len(copies)) < count and age >= URGENT_AGE_SECONDS
    line = ListedTask(
        task_id=task.id,
        kind=task.kind,
        model=task.model or None,
        status=task.status,
        progress=None if task.final else task.progress,
        created_at=iso(task.created) if task.created is not None else None,
        prompt=(memory.prompt or None) if memory else None,
        result_count=stated or None,
        results=[result.url for result in task.results] if alive and task.results else None,
        links_die_at=iso(end) if alive and end is not None else None,
        save_now=True if unsaved else None,
        saved_paths=list(saved) or None,
        copy_urls=list(copies) or None,
        credits_held=None if task.final else task.credits_reserved,
        credits_charged=task.credits_used if task.final else None,
        credits_reserved=task.credits_reserved,
        credits_used=task.credits_used if task.final else None,
        error=(task.error.message or task.error.code) if task.error else None,
    )
    line.set_now(now)
    return line


def _credits(number: float | None) -> str:
    return "unknown" if number is None else credits(number)
