"""A provider that moves is found again, and a wrong clock lets nobody in for longer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from evolink_mcp.transports.http.oauth import tokens
from evolink_mcp.transports.http.oauth.provider import METADATA_SECONDS
from tests.contract.test_sign_in import client, status
from tests.provider import CLIENT, MovedClock, Provider, new_key, running_provider, signed_in


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


async def test_a_provider_that_moves_is_found_again(provider: Provider) -> None:
    clock = MovedClock()
    provider.opaque["good"] = {"active": True, **provider.claims(exp=int(time.time()) + 10_000)}
    async with client(signed_in(provider, oauth_client=CLIENT), clock=clock) as http:
        assert [await status(http, each) for each in (provider.token(), "good")] == [405, 405]
        provider.at, provider.keys["second"] = "/moved", new_key()
        clock.ahead += METADATA_SECONDS
        assert await status(http, provider.token("second", exp=int(time.time()) + 10_000)) == 405
        provider.at = "/again"
        assert await status(http, "good") == 503, "its metadata are read once a minute"
        provider.requests.clear()
        assert [await status(http, "good") for _ in range(3)] == [503] * 3
        assert not [path for path in provider.requests if "well-known" in path]
        clock.ahead += METADATA_SECONDS
        assert await status(http, "good") == 405


async def test_keys_that_stay_behind_where_they_were_are_looked_for_elsewhere(provider: Provider) -> None:
    clock = MovedClock()
    async with client(signed_in(provider), clock=clock) as http:
        assert await status(http, provider.token()) == 405
        with running_provider() as elsewhere:
            elsewhere.issuer, elsewhere.keys = f"{elsewhere.issuer}", {"second": new_key()}
            provider.keys_at = f"{elsewhere.issuer}/keys"
            new = elsewhere.token("second", iss=provider.issuer, exp=int(time.time()) + 10_000)
            clock.ahead += METADATA_SECONDS
            assert await status(http, new) == 405
            assert await status(http, provider.token(sub="bob")) == 401


async def test_a_verdict_under_a_wrong_clock_holds_no_longer(provider: Provider) -> None:
    clock = MovedClock()
    provider.opaque["good"] = {"active": True, **provider.claims(exp=int(time.time()) + 100 * 86_400)}
    async with client(signed_in(provider, oauth_client=CLIENT), clock=clock) as http:
        clock.days_wrong = 60
        assert await status(http, "good") == 405
        clock.days_wrong = 0
        provider.opaque["good"]["active"] = False
        clock.ahead += tokens.REMEMBER_SECONDS
        assert await status(http, "good") == 401
