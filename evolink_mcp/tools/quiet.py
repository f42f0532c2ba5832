"""A seam to the SDK: its server sets logging up by itself, with rich, which takes as long to load as all our tools."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from mcp.server.mcpserver import server

_SETS_UP = "configure_logging"


@contextmanager
def own_logging() -> Generator[None]:
    """Keeps an ``MCPServer`` made in the block from setting up logging where that is done already.

    It would change nothing then (``logging.basicConfig`` leaves handlers alone), only load rich for it: 25 ms of
    every start. Where nothing is set up, or the SDK has changed, everything stays as it is.
    """
    theirs = getattr(server, _SETS_UP, None)
    if theirs is None or not logging.getLogger().handlers:
        yield
        return
    setattr(server, _SETS_UP, lambda *_: None)  # pyright: ignore[reportUnknownLambdaType]
    try:
        yield
    finally:
        setattr(server, _SETS_UP, theirs)
