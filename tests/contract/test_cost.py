"""What a call will cost: from four sources in their order, in the gateway's time, and never made up."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App
from tests.support import FakeClock, Sandbox, ok, text_of

Connect = Callable[..., Client]
FILM: dict[str, Any] = {"prompt": "a secret kite", "model": "seedance-1.5-pro", "duration": 8, "quality": "1080p"}
PICTURE: dict[str, Any] = {"prompt": "a secret kite", "model": "gpt-image-2", "size": "1:1", "resolution": "1K"}
PRICES = ("estimates", "rules", "prices")


@pytest.fixture
async def client(settings: Settings, clock: FakeClock, connect: Connect) -> AsyncIterator[Client]:
    async with connect(App(replace(settings, toolsets=("media", "account", "text")), clock=clock)) as connected:
        yield connected


@pytest.fixture(autouse=True)
def prices(sandbox: Sandbox) -> None:
    sandbox.configure(prices=1)


async def cost_of(client: Client, tool: str = "generate_image", **arguments: Any) -> dict[str, Any]:
    return (await ok(client, tool, **arguments, dry_run=True))["cost"]


def without(sandbox: Sandbox, *routes: str) -> None:
    for route in routes:
        sandbox.fault(route, "status", status=404, times=0)


async def test_the_gateways_own_estimate_comes_first_and_is_what_is_held(client: Client, sandbox: Sandbox) -> None:
    cost = await cost_of(client, "generate_video", **FILM)
    assert (cost["source"], cost["low_credits"], cost["high_credits"]) == ("quoted", 14.4, 14.4)
    task = await ok(client, "generate_video", **FILM)
    assert task["credits_held"] == 14.4


async def test_an_estimate_is_asked_for_without_prompts_and_links_and_a_list_without_the_key(
    client: Client, sandbox: Sandbox
) -> None:
    await cost_of(client, "generate_video", **FILM, image_urls=["https://example.com/secret.png"])
    (asked,) = sandbox.requests("/v1/agent-estimates")
    assert "secret" not in str(asked["json"])
    assert asked["json"]["parameters"] == {"duration_seconds": 8, "quality": "1080p"}
    (rules,) = sandbox.requests("/pricing-rules")
    assert rules["headers"]["authorization"] is False
    assert sandbox.paid() == 0


async def test_what_calls_like_it_were_charged_is_learned(client: Client, sandbox: Sandbox) -> None:
    without(sandbox, *PRICES)
    assert (await cost_of(client, **PICTURE))["source"] == "unknown"
    for number in range(2):
        await ok(client, "generate_image", **{**PICTURE, "prompt": f"kite {number}"}, wait_seconds=45)
    cost = await cost_of(client, **PICTURE)
    assert (cost["source"], cost["low_credits"], cost["high_credits"]) == ("learned", 2.1, 2.1)
    assert "last 2 calls like this" in cost["basis"]
    scaled = await cost_of(client, **PICTURE, n=3)
    assert (scaled["high_credits"], "scaled" in scaled["basis"]) == (6.3, True)
    assert (await cost_of(client, **{**PICTURE, "resolution": "4K"}))["source"] == "unknown"


async def test_the_list_price_is_worked_out_by_its_rules_or_its_rows(client: Client, sandbox: Sandbox) -> None:
    without(sandbox, "estimates")
    cost = await cost_of(client, "generate_video", **FILM)
    assert (cost["source"], cost["high_credits"]) == ("list price", 14.4)
    without(sandbox, "rules")
    other = {**FILM, "model": "kling-o3-text-to-video", "quality": "1080p"}
    cost = await cost_of(client, "generate_video", **other)
    assert (cost["source"], cost["high_credits"]) == ("list price", 14.4)


TROUBLE: list[dict[str, Any]] = [
    {"kind": "status", "status": 404},
    {"kind": "garbage"},
    {"kind": "empty"},
    {"kind": "html", "status": 200},
    {"kind": "status", "status": 200, "body": {"model": {"components": [{"rate": {"credits": "1e999"}}, 7]}}},
    {"kind": "status", "status": 200, "body": {"data": [{"model_name": "gpt-image-2", "cny_price": "free"}, []]}},
    {"kind": "status", "status": 200, "body": [[[]]]},
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=str)
async def test_prices_that_are_missing_or_garbled_are_unknown(
    client: Client, sandbox: Sandbox, trouble: dict[str, Any]
) -> None:
    for route in PRICES:
        sandbox.fault(route, **trouble, times=0)
    answer = await client.call_tool("generate_image", {**PICTURE, "dry_run": True})
    assert not answer.is_error
    assert "Cost: unknown" in text_of(answer)
    listed = await ok(client, "list_models", query="cheapest image")
    assert any("No price is known" in note for note in listed["notes"])
    assert (await ok(client, "generate_image", **PICTURE))["credits_held"] == 2.5
    before = len(sandbox.requests("/v1/agent-estimates"))
    await cost_of(client, **PICTURE)
    assert len(sandbox.requests("/v1/agent-estimates")) == before == 1


async def test_prices_that_hang_hold_no_answer_up(client: Client, sandbox: Sandbox) -> None:
    for route in PRICES:
        sandbox.fault(route, "hang", seconds=60, times=0)
    start = time.monotonic()
    assert (await cost_of(client, **PICTURE))["source"] == "unknown"
    assert time.monotonic() - start < 20
    start = time.monotonic()
    assert (await cost_of(client, **PICTURE))["source"] == "unknown"
    assert time.monotonic() - start < 5
    sandbox.clear_faults()


async def test_prices_are_kept_for_a_day_for_the_next_process_too(
    settings: Settings, clock: FakeClock, connect: Connect, sandbox: Sandbox, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    without(sandbox, "estimates")
    for expected in (1, 1):
        async with connect(App(settings, clock=clock, on_disk=True)) as client:
            assert (await cost_of(client, **PICTURE))["source"] == "list price"
        assert len(sandbox.requests("/pricing-rules")) == expected
    clock.time += 25 * 3600
    async with connect(App(settings, clock=clock, on_disk=True)) as client:
        await cost_of(client, **PICTURE)
    assert len(sandbox.requests("/pricing-rules")) == 2


async def test_cheap_models_come_first_and_the_answer_says_what_the_order_rests_on(client: Client) -> None:
    listed = await ok(client, "list_models", query="cheapest", kind="audio")
    amounts = [float(model["price"].split()[0]) for model in listed["models"]]
    assert amounts == sorted(amounts)
    assert any("Cheapest first" in note for note in listed["notes"])
    one = await client.call_tool("list_models", {"model": "z-image-turbo"})
    assert "Price: 2.5 credits per image (list)" in text_of(one)


async def test_of_models_that_cost_the_same_none_is_called_the_cheapest(client: Client) -> None:
    listed = await ok(client, "list_models", query="cheapest four pictures at once")
    assert len({model["price"] for model in listed["models"]}) == 1
    assert "All of these cost the same, as far as is known: choose by what they do." in listed["notes"]
    assert not any("Cheapest first" in note for note in listed["notes"])


async def test_the_balance_and_the_list_say_what_was_spent(client: Client) -> None:
    await ok(client, "generate_image", **PICTURE, wait_seconds=45)
    spent = (await ok(client, "check_balance"))["spent"]
    assert (spent["charged_today"], spent["charged_this_month"], spent["held"]) == (2.1, 2.1, 0)
    listed = await client.call_tool("list_tasks", {})
    assert "Total of these 1: 2.1 credits charged, 0 held" in text_of(listed)
