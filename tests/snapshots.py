"""The tools as clients see them, kept as files so that a change of one is seen in review.

``python -m tests.snapshots`` writes them anew, and the page on models with them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio

from evolink_mcp.server import create_server
from evolink_mcp.settings import TOOLSETS, Settings, Toolset
from evolink_mcp.tools.app import App
from tests import documents

FOLDER = Path(__file__).parent / "schemas"

# The names that users' configurations and agents' habits rely on.
PARAMETERS = {
    "generate_image": [
        "prompt",
        "model",
        "size",
        "resolution",
        "quality",
        "n",
        "image_urls",
        "mask_url",
        "options",
        "wait_seconds",
    ],
    "generate_video": [
        "prompt",
        "model",
        "duration",
        "quality",
        "aspect_ratio",
        "image_urls",
        "generate_audio",
        "options",
        "wait_seconds",
    ],
    "check_task": ["task_id", "wait_seconds", "preview"],
    "upload_file": ["file_path", "base64_data", "file_url", "upload_path", "file_name"],
    "list_files": ["page", "page_size"],
    "delete_file": ["file_id"],
    "list_models": ["kind", "capability", "query", "model"],
}

# Those of the other toolsets.
MORE_PARAMETERS = {
    "generate_text": [
        "prompt",
        "messages",
        "system",
        "model",
        "max_tokens",
        "temperature",
        "stop_sequences",
    ],
    "list_tasks": ["kind", "status", "model", "since", "page", "page_size", "ids"],
    "check_balance": [],
}


def schemas(toolsets: tuple[Toolset, ...] = ("media",)) -> list[dict[str, Any]]:
    """Every tool of these toolsets as it stands in an answer to ``tools/list``."""
    tools = anyio.run(create_server(App(Settings(toolsets=toolsets))).list_tools)
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]


def compact(value: object) -> str:
    """JSON as it goes over the wire."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def read_snapshot(name: str) -> object:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    for tool in schemas(TOOLSETS):
        text = json.dumps(tool, indent=2, ensure_ascii=False)
        (FOLDER / f"{tool['name']}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
    documents.write()
