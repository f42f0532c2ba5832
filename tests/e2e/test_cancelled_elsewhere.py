"""A client cancels with a message that a balancer brings to another replica than its call, and repeats it."""

from __future__ import annotations

import asyncio

from benchmarks.till import Till, open_till
from evolink_mcp.settings import Settings
from evolink_mcp.transports.http.options import HttpOptions
from tests.e2e.test_paid_once import ACCEPTS, ids_in, leave, post, request, stay
from tests.programs import RedisServer
from tests.serving import serving

CANCEL = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}


async def paid_for(till: Till, prompt: str) -> None:
    while not till.paid[prompt]:
        await asyncio.sleep(0.01)


async def test_a_call_whose_cancel_comes_to_another_replica_is_paid_once(redis: RedisServer) -> None:
    """Its stream stays open: cancelled in flight, and while it waits for its result; repeated here and there."""
    async with open_till() as till:
        till.seconds = lambda: 0.6
        settings = Settings(base_url=till.url, files_url=till.url, text_url=till.url, state_url=redis.url)
        options = HttpOptions(calls_per_minute=0)
        async with serving(settings, options) as here, serving(settings, options) as there:
            assert "error" not in await stay(here.url, post(request("px", 0, 1), ACCEPTS[0], modern=False))

            async def episode(prompt: str, place: str, wait_seconds: int) -> str:
                wire = post(request(prompt, wait_seconds, 7), ACCEPTS[0], modern=False)
                first = asyncio.create_task(stay(here.url, wire))
                if wait_seconds:
                    await paid_for(till, prompt)
                else:
                    await asyncio.sleep(0.3)  # on its way
                await (await leave(there.url, post(CANCEL, ACCEPTS[0], modern=False), 1))
                last = await stay(place, post(request(prompt, 0, 8), ACCEPTS[0], modern=False))
                first.cancel()
                await asyncio.wait([first])
                return last

            kinds = [(place, seconds) for place in (here.url, there.url) for seconds in (0, 20)]
            for number, (place, seconds) in enumerate(kinds):
                prompt = f"p{number}x"
                last = await episode(prompt, place, seconds)
                assert till.paid[prompt] == list(ids_in(last, prompt)), (place, seconds)
