"""Each seam to the SDK says what would make it unnecessary."""

from __future__ import annotations

import ast
from pathlib import Path

import evolink_mcp.sdk

ROOM = Path(evolink_mcp.sdk.__file__).parent
OURS = {"__init__", "schema", "leniency", "host_arguments", "numbers"}  # lean on nothing of the SDK's


def test_every_seam_names_the_version_or_the_issue_that_ends_it() -> None:
    for path in sorted(ROOM.glob("*.py")):
        if path.stem not in OURS:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            assert "Unnecessary once" in text, path.name
            assert "mcp 2.3" in text, path.name
