"""A provider that takes its time, or answers oddly, keeps nobody out whose key is known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from evolink_mcp.transports.http.oauth import provider as provider_module
from tests.contract.test_sign_in import client, status
from tests.provider import MovedClock, Provider, new_key, public_jwk, running_provider, signed_in

CALLERS = 8


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


async def test_a_provider_that_hangs_holds_up_nobody_but_who_asks_it(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "ASK_SECONDS", 3600.0)
    clock = MovedClock()
    async with client(signed_in(provider), clock=clock) as http:
        assert await status(http, provider.token()) == 405
        clock.pass_freshness()
        provider.answers.clear()
        tokens = [provider.token(sub=f"caller-{number}", exp=2**33) for number in range(CALLERS)]
        calls = [asyncio.create_task(status(http, token)) for token in tokens]
        answers = asyncio.as_completed(calls)
        async with asyncio.timeout(60):
            assert [await next(answers) for _ in range(CALLERS - 1)] == [405] * (CALLERS - 1)
        provider.answers.set()
        assert await next(answers) == 405


async def test_a_crowd_that_waits_for_a_provider_asks_it_once(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "ASK_SECONDS", 0.8)
    monkeypatch.setattr(provider_module, "COOLDOWN_SECONDS", 0.8)
    clock, made_up = MovedClock(), Provider()
    made_up.issuer = provider.issuer
    async with client(signed_in(provider), clock=clock) as http:
        assert await status(http, provider.token()) == 405
        clock.ahead += 1
        provider.requests.clear()
        provider.answers.clear()
        made_up.keys = {f"key-{number}": new_key() for number in range(CALLERS)}
        calls = [asyncio.create_task(status(http, made_up.token(kid))) for kid in made_up.keys]
        await asyncio.wait(calls)
        assert {call.result() for call in calls} == {503}
        assert provider.requests.count("/keys") <= 2


@pytest.mark.parametrize("odd", [5, None, {}, {"kid": ["a"]}, {"kid": {}}, {"kid": 5}])
async def test_an_odd_key_among_others_is_passed_over(provider: Provider, odd: Any) -> None:
    provider.odd_keys = [{**public_jwk(new_key(), ""), **odd} if isinstance(odd, dict) else odd]
    async with client(signed_in(provider)) as http:
        assert await status(http, provider.token()) == 405


async def test_a_revoked_key_is_not_believed_while_a_made_up_one_is_asked_for(provider: Provider) -> None:
    clock, stranger = MovedClock(), Provider()
    stranger.issuer = provider.issuer
    async with client(signed_in(provider), clock=clock) as http:
        assert await status(http, provider.token()) == 405
        revoked, made_up = provider.token(sub="bob", exp=2**33), stranger.token(exp=2**33, headers={"kid": "made-up"})
        provider.keys = {"second": new_key()}
        clock.ahead += provider_module.STALE_SECONDS - 60
        asking = await ask_a_provider_that_hangs(provider, http, made_up)
        call = asyncio.create_task(status(http, revoked))
        await asyncio.wait([call], timeout=0.3)
        provider.answers.set()
        assert [await call, await asking] == [401, 401]


async def test_a_provider_that_is_known_to_be_away_holds_up_nobody_whose_key_is_known(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "ASK_SECONDS", 3600.0)
    clock = MovedClock()
    async with client(signed_in(provider), clock=clock) as http:
        assert await status(http, provider.token()) == 405
        first, second, third = (provider.token(sub=name, exp=2**33) for name in ("first", "second", "third"))
        clock.ahead += provider_module.STALE_SECONDS - 60
        provider.status = 500
        assert await status(http, first) == 405
        clock.pass_cooldown()
        asking = await ask_a_provider_that_hangs(provider, http, second)
        async with asyncio.timeout(60):
            assert await status(http, third) == 405
        provider.answers.set()
        assert await asking == 405


async def ask_a_provider_that_hangs(provider: Provider, http: httpx2.AsyncClient, token: str) -> asyncio.Task[int]:
    """Has a call wait for the provider."""
    provider.requests.clear()
    provider.answers.clear()
    asking = asyncio.create_task(status(http, token))
    async with asyncio.timeout(60):
        while not provider.requests:
            await asyncio.sleep(0.01)
    return asking
