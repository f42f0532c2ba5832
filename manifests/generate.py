"""Writes everything that is generated here: ``python -m manifests.generate``, or ``make manifests``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manifests import catalogues, clients, dashboard, readme, skills
from manifests.facts import ROOT


def files() -> Iterator[tuple[Path, str]]:
    """(path, text) of every generated file."""
    here = ROOT / "manifests"
    for name, text in clients.files():
        yield here / name, text
    yield here / "server.json", _json(catalogues.server_json())
    yield here / "mcpb" / "manifest.json", _json(catalogues.mcpb_manifest())
    yield ROOT / ".claude-plugin" / "plugin.json", _json(catalogues.plugin_json())
    yield ROOT / ".claude-plugin" / "marketplace.json", _json(catalogues.marketplace_json())
    yield skills.RECIPES, skills.recipes_page()  # before the index, which has its digest
    yield skills.FOLDER / "index.json", json.dumps(skills.index(), indent=2, ensure_ascii=False) + "\n"
    yield here / "grafana" / "dashboard.json", _json(dashboard.dashboard())
    for page, parts in readme.pages().items():
        yield ROOT / page, readme.filled((ROOT / page).read_text(encoding="utf-8"), parts)


def write() -> None:
    """Writes every file anew."""
    for path, text in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write()
