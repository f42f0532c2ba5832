"""Interim answers (HTTP 1xx): a host may send some before its answer, and none may send them without end."""

from __future__ import annotations

import pytest

from evolink_mcp.errors import OutcomeUnknown
from evolink_mcp.gateway import Caller, Transport, media
from evolink_mcp.gateway.interim import MAX_INTERIM
from evolink_mcp.jobs.clock import SystemClock
from evolink_mcp.transports.http.oauth.provider import Away, Provider
from tests.contract.fetching import fetched, refused
from tests.contract.servers import PNG, answer, serving
from tests.contract.test_answers_too_many import BODY, gateway, whole

INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"
SOME, TOO_MANY = INTERIM * MAX_INTERIM, INTERIM * (MAX_INTERIM + 1)


async def test_some_interim_answers_before_each_answer_are_passed_over() -> None:
    async with gateway(b"", lambda body: SOME + whole(body)) as (url, connections):
        transport = Transport(url, url)
        caller = Caller(transport, "sk-one")
        assert [(await media.create(caller, "image", BODY, seconds=20)).id for _ in range(2)] == ["task-1", "task-2"]
        await transport.aclose()
    assert connections == [1, 1]


async def test_a_gateway_that_sends_too_many_has_not_answered() -> None:
    async with gateway(b"", lambda body: TOO_MANY + whole(body)) as (url, _):
        transport = Transport(url, url)
        with pytest.raises(OutcomeUnknown, match="too many interim answers"):
            await media.create(Caller(transport, "sk-one"), "image", BODY, seconds=20)
        await transport.aclose()


async def test_the_host_of_a_link_that_sends_too_many_is_left() -> None:
    async with serving(SOME + answer()) as host:
        assert await fetched(host.url()) == PNG
    async with serving(TOO_MANY + answer()) as host:
        assert "too many interim answers" in await refused(host.url())


async def test_an_identity_provider_that_sends_too_many_is_away() -> None:
    async with serving(TOO_MANY + answer(b"{}")) as host:
        with pytest.raises(Away, match="RemoteProtocolError"):
            await Provider(host.url(path=""), None, SystemClock()).metadata()
