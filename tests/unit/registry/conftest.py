"""A registry over a models file of the test's own."""

from pathlib import Path

import pytest

from evolink_mcp.registry import Registry, load
from tests.unit.registry.support import Overlay


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    def make(text: str, name: str = "models.toml", *, allow_unlisted: bool = False) -> Registry:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return load(path, allow_unlisted=allow_unlisted)

    return make
