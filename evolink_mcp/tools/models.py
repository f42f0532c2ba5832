"""list_models: what can be chosen, and what one model takes. Works without a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import anyio.to_thread
from pydantic import Field

from evolink_mcp.errors import Refused
from evolink_mcp.guard.aside import search
from evolink_mcp.settings import API_KEY
from evolink_mcp.tools.declare import tool
from evolink_mcp.tools.model_views import ModelsView

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App
    from evolink_mcp.tools.call import Call

Kind = Literal["image", "video", "audio"]

LIVE_SECONDS = 15.0
PRICE_SECONDS = 2.0  # a list of models waits no longer for prices


@tool(
    "media",
    "audio",
    title="List models",
    description="Lists models, or shows all that one takes (model=…). Free. Next: generate_*.",
    read_only=True,
    idempotent=True,
    open_world=False,
    brief_output=True,
)
async def list_models(
    call: Call,
    kind: Annotated[Kind | None, Field(description="Only models of this kind.")] = None,
    capability: Annotated[list[str] | None, Field(description="All of: image-editing, first-last-frame, …")] = None,
    query: Annotated[str | None, Field(description="A wish in words; best match first.")] = None,
    model: Annotated[str | None, Field(description="One model in full.")] = None,
) -> ModelsView:
    from evolink_mcp.tools.model_lists import MAX_QUERY_CHARACTERS, Filters, listing
    from evolink_mcp.tools.model_prices import read_prices, with_prices

    registry = call.app.registry
    await anyio.to_thread.run_sync(registry.names)  # the first time, every data file is read
    if not (kind or capability or query or model):
        return models_view(call.app)
    prices: dict[str, tuple[float, float]] = {}
    if query and model is None and registry.wants_price(query[:MAX_QUERY_CHARACTERS]):
        prices = (await read_prices(call, seconds=PRICE_SECONDS)).lowest(registry.models.values())
    if model is None:
        filters = Filters(kind, tuple(capability or ()), query or "", prices)
        view = await search(partial(listing, call.app, filters, brief=True))
    else:
        view = models_view(call.app, model=model)
    return await with_prices(call, view, cheap=bool(prices))


def models_view(
    app: App,
    *,
    kind: Kind | None = None,
    capability: Sequence[str] | None = None,
    query: str | None = None,
    model: str | None = None,
    brief: bool = True,
) -> ModelsView:
    """The registry, for agents (``brief``: as much as is worth its bytes) and for the ``models`` command.

    Raises:
        Refused: No such model, or none that fits.
    """
    from evolink_mcp.tools import model_lists, model_pages  # what a start does without

    if model is not None:
        return model_pages.page(app, model, sources=not brief)
    return model_lists.listing(app, model_lists.Filters(kind, tuple(capability or ()), query or ""), brief=brief)


async def live_models(app: App) -> str:
    """The registry beside the models that the gateway offers the operator's key, in words.

    Raises:
        Refused: No key is set, or the gateway does not list its models.
        GatewayError: The gateway could not be asked.
    """
    from evolink_mcp.gateway import Caller
    from evolink_mcp.gateway.account import model_ids

    if not app.settings.api_key:
        raise Refused("No key is set.", code="no_key", next_step=f"Set {API_KEY}, then run this again.")
    ids = await model_ids(Caller(app.transport, app.settings.api_key), seconds=LIVE_SECONDS)
    if not ids:
        raise Refused("This gateway does not list its models.", code="not_offered", next_step="See docs/models.md.")
    absent, unknown = app.registry.compare(ids)
    lines = [f"The gateway offers this key {len(ids)} models."]
    lines += [f"Known to this server, but not offered: {', '.join(absent)}"] if absent else []
    more = "Offered, but unknown to this server (EVOLINK_UNLISTED_MODELS=allow lets calls use them)"
    lines += [f"{more}: {', '.join(unknown)}"] if unknown else []
    return "\n".join(lines)
