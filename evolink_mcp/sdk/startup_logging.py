"""Keeps the SDK's server from setting up logging with rich, which takes as long to load as all our tools.

Unnecessary once ``MCPServer`` leaves logging to its host, or loads rich only when it logs (mcp 2.3 does neither).
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from mcp.server.mcpserver import server

_SETUP = "configure_logging"


@contextmanager
def own_logging() -> Generator[None]:
    """Keeps an ``MCPServer`` made in the block from setting up logging where that is done already.

    It would change nothing then (``logging.basicConfig`` leaves handlers alone), only load rich for it: 25 ms of
    every start. Where nothing is set up, or the SDK has changed, everything stays as it is.
    """
    original = getattr(server, _SETUP, None)
    if original is None or not logging.getLogger().handlers:
        yield
        return
    setattr(server, _SETUP, lambda *_: None)  # pyright: ignore[reportUnknownLambdaType]
    try:
        yield
    finally:
        setattr(server, _SETUP, original)
