"""Two people, one account, two replicas, 200 interleaved calls: neither sees what is the other's, and budgets hold."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from evolink_mcp.transports.http.options import HttpOptions
from tests.programs import RedisServer
from tests.provider import AUDIENCE, RESOURCE, Provider, running_provider, signed_in
from tests.serving import bearer, serving
from tests.support import Sandbox, png

ROUNDS = 20  # of ten calls, five of each person
HOLD, CHARGE = 2.5, 2.1  # credits of a picture of gpt-image-2: while it is made, and in the end
BUDGET = 60.0  # of a person's day: more than the rounds take, and less than the rush after them would
OF_ALL = 105.0
RUSH = 10
HEADERS = {
    "accept": "application/json",
    "content-type": "application/json",
    "mcp-protocol-version": "2025-11-25",
}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


class Person:
    """Somebody who has signed in, and asks both replicas in turn."""

    def __init__(self, http: httpx2.AsyncClient, urls: list[str], token: str, name: str) -> None:
        self.name = name
        self.seen: list[str] = []
        self.own: set[str] = set()
        self._http, self._urls, self._headers = http, urls, {**HEADERS, **bearer(token)}

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        self._urls.append(self._urls.pop(0))
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        response = await self._http.post(f"{self._urls[0]}/mcp", json=body, headers=self._headers)
        result = response.json()["result"]
        self.seen.append(json.dumps(result))
        return result

    async def make(self, number: int) -> str:
        """Makes a picture: its task, or why not."""
        prompt = f"a red kite of {self.name}, number {number}"
        made = await self.call("generate_image", model="gpt-image-2", prompt=prompt)
        if made.get("isError"):
            return made["content"][0]["text"]
        task_id = made["structuredContent"]["task_id"]
        self.own.add(task_id)
        return task_id

    async def upload(self) -> str:
        address = (await self.call("upload_file", file_name="kite.png"))["structuredContent"]["upload_url"]
        stored = (await self._http.put(address, content=png())).json()
        self.own.add(stored["file_id"])
        return stored["file_id"]


@asynccontextmanager
async def two_replicas(provider: Provider, sandbox: Sandbox, state_url: str) -> AsyncGenerator[list[str]]:
    where = {"base_url": sandbox.url, "files_url": sandbox.url, "text_url": sandbox.url}
    settings = signed_in(provider, **where, state_url=state_url, history=True, toolsets=("media", "account"))
    options = HttpOptions(
        auth="oauth",
        public_url=RESOURCE,
        calls_per_minute=0,
        max_credits_per_day=BUDGET,
        max_credits_per_day_in_all=OF_ALL,
    )
    async with AsyncExitStack() as stack:
        served = [await stack.enter_async_context(serving(settings, options)) for _ in range(2)]
        yield [each.url for each in served]
        for each in served:
            assert each.application.resource is not None
            await each.application.resource.provider.aclose()


async def test_nothing_of_one_person_is_seen_by_the_other_and_budgets_hold(
    provider: Provider, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sandbox.configure(prices=1)
    sandbox.fault("images", "no_urls", times=0)
    with RedisServer(tmp_path) as redis:
        async with (
            two_replicas(provider, sandbox, redis.url) as urls,
            httpx2.AsyncClient(trust_env=False, timeout=60) as http,
        ):
            # One address serves both replicas; here the upload goes to the one that is asked.
            alice, bob = (
                Person(_at(http, urls[0]), list(urls), provider.token(sub=name, aud=AUDIENCE), name)
                for name in ("alice", "bob")
            )

            async def one(person: Person, other: Person, number: int) -> None:
                task = await person.make(number)
                seen = await person.call("check_task", task_id=task, wait_seconds=10)
                assert seen["structuredContent"]["credits_charged"] == CHARGE
                refused = await other.call("check_task", task_id=task, wait_seconds=0)
                assert "[not_yours]" in refused["content"][0]["text"]
                other.seen.pop()  # it names the id that was asked for
                await person.call("list_files")
                await person.call("list_tasks")

            file = await alice.upload()
            for number in range(ROUNDS):
                async with anyio.create_task_group() as group:
                    group.start_soon(one, alice, bob, number)
                    group.start_soon(one, bob, alice, number)
            refused = await bob.call("delete_file", file_id=file)
            assert "[not_yours]" in refused["content"][0]["text"]
            bob.seen.pop()
            listed = (await alice.call("list_files"))["structuredContent"]["files"]
            assert [each["file_id"] for each in listed] == [file]
            assert sandbox.paid() == 2 * ROUNDS
            await rush(alice, BUDGET - ROUNDS * CHARGE)
            await rush(bob, OF_ALL - sum(len(person.own - {file}) for person in (alice, bob)) * CHARGE)
    assert len(alice.seen) + len(bob.seen) >= 8 * ROUNDS
    for person, other in ((alice, bob), (bob, alice)):
        assert len(person.own) >= ROUNDS
        assert not [text for text in person.seen for name in other.own if name in text]


async def rush(person: Person, room: float) -> None:
    """Somebody asks for many pictures at once, over both replicas, and gets what there is room for; what they hold
    is charged in the end."""
    answers: list[str] = []

    async def ask(number: int) -> None:
        answers.append(await person.make(100 + number))

    async with anyio.create_task_group() as group:
        for number in range(RUSH):
            group.start_soon(ask, number)
    made = [answer for answer in answers if answer in person.own]
    assert len(made) == int(room / HOLD)
    assert len(answers) == RUSH > len(made)
    assert all("[credit_limit]" in answer for answer in answers if answer not in made)
    for task in made:
        await person.call("check_task", task_id=task, wait_seconds=10)


def _at(http: httpx2.AsyncClient, url: str) -> httpx2.AsyncClient:
    """A client to which the public address leads to a replica."""

    async def lead(request: httpx2.Request) -> None:
        if str(request.url).startswith(RESOURCE):
            request.url = httpx2.URL(str(request.url).replace(RESOURCE, url))

    http.event_hooks["request"].append(lead)
    return http
