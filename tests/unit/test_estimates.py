"""The gateway's own estimate of a call, in whatever envelope it comes."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from evolink_mcp.gateway import Caller, Transport
from evolink_mcp.gateway.prices import Prices
from tests.support import KEY


async def estimate(body: object) -> float | None:
    mock = httpx2.MockTransport(lambda _: httpx2.Response(200, json=body))
    transport = Transport("https://a.test", "https://f.test", over=mock)
    prices = Prices(transport, lambda: 1_000.0, None)
    return await prices.estimate(Caller(transport, KEY), "m", "image_generation", {}, seconds=5)


@pytest.mark.parametrize("name", ["credits", "estimated_credits", "total_credits"])
@pytest.mark.parametrize("wrap", ["", "data", "estimate"])
@pytest.mark.parametrize("amounts", [False, True])
async def test_an_estimate_is_found_under_its_names(name: str, wrap: str, amounts: bool) -> None:
    body: dict[str, Any] = {name: "0.5"}
    if amounts:
        body = {"amounts": body}
    assert await estimate({wrap: body} if wrap else body) == 0.5


@pytest.mark.parametrize(("credits", "told"), [(0, 0), (0.02, 0.02), (-1, None), ("much", None), (True, None)])
async def test_a_call_may_cost_little_or_nothing_and_no_less(credits: object, told: float | None) -> None:
    assert await estimate({"credits": credits}) == told
