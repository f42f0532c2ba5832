"""The user's file and the store that replicas share give the same answers, whatever three processes tell them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.jobs.file.database import Database
from evolink_mcp.jobs.file.ledger import FileLedger
from evolink_mcp.jobs.ledger import Key, Ledger, Mark, Page
from evolink_mcp.jobs.outcomes import Created, InFlight, Outcome, Unknown, outcome_to_json
from evolink_mcp.jobs.shared.ledger import SharedLedger
from evolink_mcp.jobs.shared.ledger_scripts import ANNOUNCE_SECONDS
from evolink_mcp.jobs.shared.store import Store
from tests.contract.ledgers import AT_REST, set_silence
from tests.unit.board import Board

STORIES, STEPS = 40, 15
PROCESSES = ("a", "b", "c")
OUTCOMES: list[Outcome] = [
    Created("task-1"),
    Unknown(OutcomeUnknown("?", code="x", next_step="Look.")),
]
Ledgers = dict[str, Ledger]


class PromptStore(Store):
    """A way to a board that takes no time."""

    def __init__(self, board: Board) -> None:
        self._board = board

    async def ask(self, *command: str | int | float, insist: bool = False) -> Any:
        return self._board.carry_out(*command)


@pytest.fixture
async def in_file(tmp_path: Path) -> AsyncIterator[Ledgers]:
    database = Database(tmp_path / "history.db")
    yield named({name: FileLedger(database, "https://a.test") for name in PROCESSES})
    await database.aclose()


@pytest.fixture
async def in_store(monkeypatch: pytest.MonkeyPatch) -> Ledgers:
    """Where nothing is in doubt: all have spoken, and no time passes."""
    set_silence(monkeypatch, AT_REST)  # the scripts are those that the board knows
    now = [1_000_000.0]
    board = Board(lambda: now[0])
    ledgers = named({name: SharedLedger(PromptStore(board)) for name in PROCESSES})
    for each in ledgers.values():
        assert not await each.beat(announced=False)
        assert await each.beat(announced=True)
    now[0] += ANNOUNCE_SECONDS + 0.125
    return ledgers


def named(ledgers: Ledgers) -> Ledgers:
    for name, ledger in ledgers.items():
        ledger.process = name
    return ledgers


async def test_the_file_and_the_store_answer_alike(in_file: Ledgers, in_store: Ledgers) -> None:
    heard = Counter[str]()
    for seed in range(STORIES):
        draw, key = random.Random(seed), Key("owner", f"intent-{seed}")
        refs = {f"{seed}-{name}": name for name in PROCESSES}  # of what each of them sends
        outcomes = {ref: draw.choice(OUTCOMES) for ref in refs}
        for step in range(STEPS):
            process, what, ref = draw.choice(PROCESSES), draw.choice(COMMANDS), draw.choice(list(refs))
            process = refs[ref] if what == "begin" else process
            mark = Mark(key, ref, refs[ref], draw.choice(["", process]), 1.0)
            outcome = draw.choice([InFlight(), outcomes[ref]]) if what == "put" else InFlight()
            mark = replace(mark, outcome=outcome, is_followed=process != refs[ref])
            more = set(draw.sample(list(refs), draw.randint(0, 2))) if what == "begin" else draw.random() < 0.5
            of_file, of_store = [await carry_out(each[process], what, mark, more) for each in (in_file, in_store)]
            assert of_file == of_store, f"story {seed}, step {step}: {process} {what} {mark} {more}"
            heard[f"{what}: {of_file[0]}"] += 1
    assert {each for each, count in heard.items() if count >= 10} >= KINDS, heard


COMMANDS = ("begin", "begin", "put", "put", "claim", "claim", "give back", "forget")
KINDS = {"begin: True", "begin: False", "claim: True", "claim: False"}


async def carry_out(ledger: Ledger, what: str, mark: Mark, more: Any) -> tuple[bool | None, set[tuple[str, ...]]]:
    """An answer, and what is there after it."""
    answer: bool | None = None
    match what:
        case "begin":
            own = replace(mark, holder=ledger.process, is_followed=False)
            answer = await ledger.begin(own, more) is None
        case "put":
            await ledger.put(mark)
        case "claim":
            answer = await ledger.claim(mark)
        case "give back":
            await ledger.give_back(mark)
        case _:
            await ledger.forget(mark, free=more)
    return answer, plain(await ledger.peek(mark.key))


def plain(page: Page) -> set[tuple[str, ...]]:
    assert not page.wait
    return {(each.ref, each.sender, each.holder, str(outcome_to_json(each.outcome))) for each in page.marks}
