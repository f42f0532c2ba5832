"""``evolink-mcp usage``: who made what, out of the store that replicas share."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from evolink_mcp.jobs.shared.store import Store
from evolink_mcp.jobs.shared.usage import SharedUsage
from evolink_mcp.settings import Token
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.usage import UNPROVEN
from evolink_mcp.usage import COLUMNS, as_table, days_since, read_usage
from tests.e2e.raw import environment
from tests.programs import RedisServer
from tests.serving import bearer, connected, on, serving
from tests.support import KEY, Sandbox, ok, refused

TASKS, PEOPLE = 10_000, 50


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as running:
        yield running


def usage(redis: RedisServer, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evolink_mcp", "usage", *options]
    env = environment({"EVOLINK_STATE_URL": redis.url})
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


async def test_an_operator_sees_who_made_what_once(redis: RedisServer, sandbox: Sandbox) -> None:
    secret = {"alice": "a-token-of-alice-0123", "bob": "a-token-of-bob-012345"}
    tokens = tuple(Token(sha256(token.encode()).hexdigest(), name) for name, token in secret.items())
    settings = on(sandbox, api_key=KEY, mcp_tokens=tokens, state_url=redis.url)
    async with serving(settings, HttpOptions(auth="token")) as served:
        async with connected(served.url, "modern", bearer(secret["alice"])) as alice:
            made = await ok(alice, "generate_image", prompt="a red kite", wait_seconds=30)
            await ok(alice, "check_task", task_id=made["task_id"])
            await refused(alice, "generate_image", prompt="x", n=999)
        async with connected(served.url, "modern", bearer(secret["bob"])) as bob:
            await ok(bob, "list_models")
    told = usage(redis, "--json")
    assert told.returncode == 0, told.stderr
    people: dict[str, dict[str, Any]] = {row["name"]: row for row in json.loads(told.stdout)["people"]}
    assert (people["alice"]["calls"], people["alice"]["refusals"], people["alice"]["images"]) == (3, 1, 1)
    assert (people["bob"]["calls"], people["bob"]["images"]) == (1, 0)
    table = usage(redis).stdout
    assert "alice" in table
    assert "Images" in table
    assert "red kite" not in told.stdout + table


async def test_keys_that_nobody_has_tried_are_counted_together(redis: RedisServer, sandbox: Sandbox) -> None:
    async with serving(on(sandbox, state_url=redis.url)) as served:
        for number in range(3):
            async with connected(served.url, "modern", bearer(f"sk-made-up-{number:010}")) as stranger:
                await ok(stranger, "list_models")
        async with connected(served.url, "modern", bearer(KEY)) as payer:
            await ok(payer, "generate_image", prompt="a red kite", wait_seconds=30)
    rows: list[dict[str, Any]] = json.loads(usage(redis, "--json").stdout)["people"]
    counts = {row["caller"]: (row["calls"], row["images"]) for row in rows}
    assert counts.pop(UNPROVEN) == (3, 0)
    assert list(counts.values()) == [(1, 1)]


async def test_ten_thousand_tasks_are_read_within_a_second(redis: RedisServer) -> None:
    store = Store(redis.url)
    book = SharedUsage(store)
    days = days_since("30d", datetime.now(UTC))
    for number in range(TASKS):
        who = number % PEOPLE
        book.add_task(days[number % 30], f"owner-{who}", f"person-{who}", f"task-{number}", {"images": 1.0})
    await book.aclose()
    await store.aclose()
    start = time.monotonic()
    rows = await read_usage(redis.url, days)
    seconds = time.monotonic() - start
    assert len(rows) == PEOPLE
    assert sum(float(row["images"]) for row in rows) == TASKS
    assert seconds < 1, "on a machine with nothing else to do it takes a few hundredths"


def test_without_a_store_and_with_one_that_is_away_it_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evolink_mcp", "usage"]
    for state, said in (({}, "EVOLINK_STATE_URL"), ({"EVOLINK_STATE_URL": "redis://127.0.0.1:9/0"}, "does not answer")):
        told = subprocess.run(command, env=environment(state), capture_output=True, text=True, timeout=60, check=False)
        assert told.returncode == 2
        assert said in told.stderr


@pytest.mark.parametrize(
    ("since", "days"),
    [("1d", ["2026-11-27"]), ("2026-11-26", ["2026-11-26", "2026-11-27"]), ("2026-12-24", []), ("999d", None)],
)
def test_days_are_counted_up_to_today(since: str, days: list[str] | None) -> None:
    found = days_since(since, datetime(2026, 11, 27, 23, 59, tzinfo=UTC))
    assert found == days if days is not None else len(found) == 62


def test_other_words_for_a_day_are_refused() -> None:
    with pytest.raises(ValueError, match=r".*"):
        days_since("yesterday", datetime.now(UTC))


def test_a_name_is_shown_as_it_is_and_steers_no_terminal() -> None:
    row: dict[str, str | float] = {"caller": "a", "name": "Bo \x1b[31m[/b] [red]x", **dict.fromkeys(COLUMNS, 1.0)}
    console = Console(file=io.StringIO(), width=200)
    console.print(as_table([row], ["2026-11-01"]))
    assert "Bo [/b] [red]x" in cast("io.StringIO", console.file).getvalue()
