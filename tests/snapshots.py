"""The tools as clients see them, kept as files so that a change of one is seen in review.

``python -m tests.snapshots`` writes them anew, and the page on models with them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio

from evolink_mcp.card import BESIDE
from evolink_mcp.server import create_server
from evolink_mcp.settings import TOOLSETS, Settings, Toolset
from evolink_mcp.tools.app import App
from tests import documents

FOLDER = Path(__file__).parent / "schemas"


def read_snapshot(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


# The tools of each toolset as it is offered alone, and of all, in the order in which clients show them. Users'
# configurations and agents' habits rely on these names.
TOOLS: dict[str, list[str]] = read_snapshot("toolsets") if (FOLDER / "toolsets.json").exists() else {}


def parameters(toolset: str) -> dict[str, list[str]]:
    """The names of what each tool of a toolset takes."""
    return {name: list(read_snapshot(name)["inputSchema"]["properties"]) for name in TOOLS.get(toolset, [])}


PARAMETERS = parameters("media")
MORE_PARAMETERS = {name: names for name, names in parameters("all").items() if name not in PARAMETERS}


def schemas(toolsets: tuple[Toolset, ...] = ("media",)) -> list[dict[str, Any]]:
    """Every tool of these toolsets as it stands in an answer to ``tools/list``, for a host without apps.

    The card's address, which changes with its page, is one of equal length.
    """
    tools = anyio.run(create_server(App(Settings(toolsets=toolsets))).list_tools)
    shapes = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    return [with_steady_card(shape) for shape in shapes if shape["name"] not in BESIDE]


def with_steady_card(shape: dict[str, Any]) -> dict[str, Any]:
    """A tool whose card, if it has one, is at an address that does not change with the page."""
    if "resourceUri" in (ui := shape.get("_meta", {}).get("ui", {})):
        ui["resourceUri"] = "ui://card/01234567"
    return shape


def compact(value: object) -> str:
    """JSON as it goes over the wire."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def write() -> None:
    """Writes every snapshot anew; that of a tool which is gone goes, too."""
    offers: dict[str, tuple[Toolset, ...]] = {toolset: (toolset,) for toolset in TOOLSETS}
    tools = {tool["name"]: tool for tool in schemas(TOOLSETS)}
    names = {name: [tool["name"] for tool in schemas(offer)] for name, offer in [*offers.items(), ("all", TOOLSETS)]}
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, content in [*tools.items(), ("toolsets", names)]:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
    documents.write()
