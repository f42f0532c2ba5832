"""One sandbox for the whole room, as new before every test. Tasks end as soon as their files exist."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evolink_mcp.sandbox.config import SandboxConfig
from evolink_mcp.sandbox.serve import ThreadedSandbox
from tests.unit.sandbox.lab import Lab

AT_ONCE = SandboxConfig(image_seconds=0, video_seconds=0, audio_seconds=0)


@pytest.fixture(scope="session")
def one_lab() -> Iterator[Lab]:
    with ThreadedSandbox(AT_ONCE) as threaded:
        lab = Lab(threaded.running)
        yield lab
        lab.close()


@pytest.fixture
def lab(one_lab: Lab) -> Lab:
    one_lab.control("POST", "reset")
    one_lab.config(image_seconds=0, video_seconds=0, audio_seconds=0, link_seconds=86_400, max_files=100)
    return one_lab
