"""A browser and a server with every toolset, both for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.card.browser import Browser, browsing
from tests.interop.conftest import http_server, server_environment
from tests.support import Sandbox


@pytest.fixture(scope="session")
def shared_browser(running_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    env = server_environment(running_sandbox, key=False) | {"EVOLINK_TOOLSETS": "all"}
    with (
        http_server(env, "--calls-per-minute", "0") as url,
        browsing(url, tmp_path_factory.mktemp("chromium")) as browser,
    ):
        yield browser


@pytest.fixture
def browser(shared_browser: Browser, sandbox: Sandbox) -> Browser:
    """A browser whose server works on a new sandbox."""
    return shared_browser
