"""A server that offers texts, and a gateway that answers with given pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from evolink_mcp.gateway import Caller, Transport, text
from evolink_mcp.jobs import progress
from evolink_mcp.settings import Settings
from tests.contract.text.asking import BODY, answering
from tests.support import KEY


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, toolsets=("text",))


@pytest.fixture(autouse=True)
def quick_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MIN_GAP_SECONDS", 0.01)


@pytest.fixture
async def written() -> AsyncIterator[Callable[..., Any]]:
    """Asks for a text where the gateway answers with given pieces."""
    transports: list[Transport] = []

    async def ask(pieces: list[bytes], **more: Any) -> text.Message:
        made = Transport("https://a.test", "https://f.test", "https://t.test", over=answering(pieces, **more))
        transports.append(made)
        return await text.create(Caller(made, KEY), BODY, seconds=60)

    yield ask
    for made in transports:
        await made.aclose()
