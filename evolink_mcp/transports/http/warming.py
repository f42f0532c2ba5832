"""What the first calls need, loaded before anybody waits for it: it would hold up all others for half a second."""

from __future__ import annotations

import gc
import importlib
import logging

from evolink_mcp.errors import EvolinkError
from evolink_mcp.tools.app import App
from evolink_mcp.transports.stdio import settle

MODULES = (
    "evolink_mcp.tools.execution",
    "evolink_mcp.tools.generation",
    "evolink_mcp.tools.model_lists",
    "evolink_mcp.tools.model_pages",
    "evolink_mcp.tools.model_prices",
    "evolink_mcp.registry.matching",
    "evolink_mcp.jobs.texts",
    "evolink_mcp.gateway.account",
    "httpcore2",
    "sqlite3",  # of spending limits in memory
)
# Between two searches for garbage. A waiting call has hundreds: with 10,000 of them, searches at every 10,000 took a
# twelfth of the processor time, and single ones held up all calls for a second.
OBJECTS_PER_SEARCH = 50_000

logger = logging.getLogger(__name__)


def warm_up(app: App) -> None:
    """Loads it, and leaves it out of the searches for garbage, which are rarer from now on: each holds up all calls."""
    for name in MODULES:
        importlib.import_module(name)
    _ = app.purchases, app.waits, app.beats, app.measurer
    app.registry.search(query="any")  # makes what searches go by
    try:
        app.transport.prepare()
    except EvolinkError as error:
        logger.debug("Not ready for the gateway: %s", error.what)  # each call says so, in its own words
    settle()
    gc.set_threshold(OBJECTS_PER_SEARCH)
