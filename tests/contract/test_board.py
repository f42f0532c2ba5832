"""The board, which stands in for the store where every await is tried, answers as the store's scripts do."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import pytest

from evolink_mcp.jobs.ledger import KEEP_SECONDS, REPEAT_SECONDS, SILENT_SECONDS
from evolink_mcp.jobs.shared import ledger_scripts as scripts
from evolink_mcp.jobs.shared.ledger import SHARED
from tests.contract.clockwork import ClockworkStore
from tests.programs import RedisServer
from tests.unit.board import LIFE, Board

STORIES, STEPS = 150, 20
REPLICAS = ("a", "b", "c")
SCRIPTS = ("BEAT", "LIVE", "GOODBYE", "PEEK", "BEGIN", "CLAIM", "PUT", "FORGET")
REFS = ("r1", "r1", "r2", "r3")  # some more often than others, so that they meet
NAMES = ("evolink:key-1", "evolink:key-1", "evolink:key-2")
OUTCOMES: list[dict[str, str]] = [{}, {}, {"id": "task-1"}, {"id": "task-2"}, {"code": "x", "next": "Sieh „nach“.\n"}]
# What may pass at once: one of the store's limits, to the moment and a little more or less.
LIMITS = [scripts.ANNOUNCE_SECONDS, SILENT_SECONDS, scripts.MISSING_SECONDS, REPEAT_SECONDS, KEEP_SECONDS / 2]
PAUSES = [each + more for each in [*LIMITS, KEEP_SECONDS] for more in (-0.125, 0.0, 0.125)]
# Of answers: each has to come, and often.
KINDS = {
    *(
        "BEAT: to be told",
        "BEAT: the others",
        "LIVE: 1",
        "GOODBYE: 1",
        "PEEK: a page, wait 0",
        "PEEK: a page, wait 1",
    ),
    *("BEGIN: []", "BEGIN: a page, wait 0", "BEGIN: a page, wait 1", "CLAIM: -1", "CLAIM: 0", "CLAIM: 1"),
    *("PUT: -1", "PUT: 0", "PUT: 1", "FORGET: 1", "SET: OK", "EXISTS: 0", "EXISTS: 1", "FLUSHALL: OK"),
}

Command = tuple[str | int | float, ...]


class Story:
    """What befalls a store: drawn, and the same again for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.now = 1_800_000_000.0
        self.run = 1
        self.board = Board(lambda: self.now)
        self.board.flush()

    def commands(self) -> Iterator[Command]:
        """Some of them in an order that replicas keep, for else hardly anything is ever decided."""
        draw = self._chance
        for step in range(STEPS):
            chance = draw.random()
            if step > 2 and chance < 0.08:
                self.now += draw.choice(PAUSES)
            elif step > 2 and chance < 0.09:
                yield ("FLUSHALL",)
            elif step > 2 and chance < 0.1:
                self.run += 1
            if step < 3 or chance < 0.22:
                self.now += draw.choice([1.0, 1.125])
                for me in draw.sample(REPLICAS, 3 if step < 3 else draw.choice([2, 3, 3, 3])):
                    turns = ["01", "1", "1"][step] if step < 3 else draw.choice(["01", "1", "1", "0"])
                    yield from (self._beat(me, announced) for announced in turns)
            else:
                yield self._command(draw.choice(REPLICAS), draw.choice(REFS))

    def _beat(self, me: str, announced: str) -> Command:
        others = [each for each in REPLICAS if each != me and announced == "1" and self._chance.random() < 0.5]
        lives = [self.board.words.get(LIFE, "")] * 9 + ["run1 1.5"]
        life = self._chance.choice(lives) if announced == "1" else ""
        until = self._chance.choice([0.0, self.now - 5.0, self.now, self.now + 1.0])
        return "EVAL", scripts.BEAT, 5, *SHARED, me, life, until, *others

    def _command(self, me: str, ref: str) -> Command:
        draw = self._chance
        name = draw.choice(NAMES)
        match draw.randrange(13):
            case 0:
                return "EVAL", scripts.GOODBYE, 5, *SHARED, me
            case 12:
                return "EVAL", scripts.LIVE, 5, *SHARED, me
            case 1:
                return draw.choice(
                    [("SET", "evolink:a:task:1", "1", "PX", scripts.KEEP_MS), ("EXISTS", "evolink:a:task:1")]
                )
            case 2:
                return "EVAL", scripts.PEEK, 6, *SHARED, name, me
            case 3 | 4 | 5:
                passed = draw.sample(REFS, draw.randint(0, 3))
                return "EVAL", scripts.BEGIN, 6, *SHARED, name, me, ref, self._mark(me), *passed, self._end()
            case 6 | 7:
                return "EVAL", scripts.CLAIM, 6, *SHARED, name, me, ref, draw.choice(["", *REPLICAS]), self._end()
            case 8 | 9 | 10:
                words, end = self._mark(draw.choice(["", "", me])), self._end() * (draw.random() < 0.9)  # 0: not known
                return "EVAL", scripts.PUT, 1, name, me, ref, words, draw.choice("01"), end
            case _:
                return "EVAL", scripts.FORGET, 1, name, me, ref, draw.choice("01")

    def _end(self) -> float:
        return self.now + self._chance.choice([-0.125, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])

    def _mark(self, holder: str) -> str:
        draw = self._chance
        fields: dict[str, object] = {"sender": draw.choice(REPLICAS), "holder": holder, "since": 1.5}
        fields["outcome"] = draw.choice(OUTCOMES)
        if draw.random() < 0.4:
            at = self.now - draw.choice([0.0, REPEAT_SECONDS - 0.125, REPEAT_SECONDS, REPEAT_SECONDS + 0.125])
            fields["delivery"] = {"number": "1", "at": at, "disconnected": draw.random() < 0.5}
        return json.dumps(fields)


@pytest.fixture
def store(redis: RedisServer) -> Iterator[ClockworkStore]:
    store = ClockworkStore(redis.port)
    yield store
    store.close()


def test_the_board_answers_as_the_store_does(store: ClockworkStore) -> None:
    heard = Counter[str]()
    for seed in range(STORIES):
        compare(seed, store, heard)
    assert {each for each, count in heard.items() if count >= 10} == KINDS


def compare(seed: int, store: ClockworkStore, heard: Counter[str]) -> None:
    """Plays one story to both, and counts the kinds of answers."""
    story, of_board = Story(seed), list[tuple[str, Any, Any]]()
    board = story.board
    for command in story.commands():
        board.run = f"run{story.run}"
        store.add(story.now, board.run, *command)
        answer = board.carry_out(*command)
        heard[f"{kind(command)}: {gist(answer)}"] += 1
        of_board.append((f"{kind(command)} {command[2:]}", plain(answer), plain(board.state)))
    for number, (expected, (answer, state)) in enumerate(zip(of_board, store.answers(), strict=True)):
        assert expected[1:] == (plain(answer), plain(state)), f"story {seed}, command {number}: {expected[0]}"


def kind(command: Command) -> str:
    names = (each for each in SCRIPTS if getattr(scripts, each) in command)
    return next(names, str(command[0]))


def gist(answer: Any) -> str:
    """What kind of an answer it is."""
    match answer:
        case [_, wait, _, _, _]:
            return f"a page, wait {wait}"
        case [_, [*_], _]:
            return "the others"
        case str(life) if life.startswith("run"):
            return "to be told"
        case _:
            return str(answer)


def plain(value: Any) -> Any:
    """An answer or a state without what means nothing: how a number is written, and the order of names and values."""
    if isinstance(value, str):
        return json.loads(value) if value.startswith(("{", "-", *"0123456789")) else value
    if isinstance(value, dict):
        return {name: plain(each) for name, each in cast("dict[str, Any]", value).items()}
    match cast("list[Any]", value):
        case [now, wait, marks, heard_at, horizon]:
            return [plain(now), wait, *map(plain, (marks, heard_at, horizon))]
        case [now, [*others], life]:
            return [plain(now), sorted(map(str, others)), life]
        case [*flat]:
            return {name: plain(each) for name, each in zip(flat[::2], flat[1::2], strict=True)}
        case _:
            return value
