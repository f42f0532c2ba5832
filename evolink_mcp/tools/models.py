"""list_models: what can be chosen, and what one model takes. Works without a key."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from evolink_mcp.errors import Refused
from evolink_mcp.tools.app import App, Call
from evolink_mcp.tools.views import ModelLine, ModelsView


async def list_models(
    call: Call,
    kind: Annotated[Literal["image", "video"] | None, Field(description="Only these.")] = None,
    capability: Annotated[str | None, Field(description="e.g. image-editing, first-last-frame.")] = None,
    query: Annotated[str | None, Field(description="Words; best match first.")] = None,
    model: Annotated[str | None, Field(description="One model in full: parameters, limits, example.")] = None,
) -> ModelsView:
    """Lists models, or with model= everything one model takes. Free, works offline. Next: generate_*."""
    return models_view(call.app, kind=kind, capability=capability, query=query, model=model)


def models_view(
    app: App,
    *,
    kind: Literal["image", "video"] | None = None,
    capability: str | None = None,
    query: str | None = None,
    model: str | None = None,
) -> ModelsView:
    """The registry, for agents and for the ``models`` command."""
    raise NotImplementedError
