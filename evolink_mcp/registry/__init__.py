"""What every model takes, where that is written, and how hard to hold it.

A library of its own: data files, the loader that reads them, and the check of a call before any money is spent. No MCP
and no HTTP live here, nothing of the rest of the package is imported, and no model's name is known outside ``data/``.

    registry = load()
    checked = registry.check("image", model, {"prompt": "A red fox", "n": 2})
    checked.problems, checked.notes, checked.params
"""

from functools import cache
from pathlib import Path

from evolink_mcp.registry.build import Models
from evolink_mcp.registry.describe import describe, describe_call, describe_text
from evolink_mcp.registry.files import judges_shape
from evolink_mcp.registry.overlay import load_overlay
from evolink_mcp.registry.reading import DataError, Files
from evolink_mcp.registry.registry import Registry
from evolink_mcp.registry.roles import sources_of, task_parameters
from evolink_mcp.registry.spec import Checked, FileFacts, Model, Parameter, Problem, Rule
from evolink_mcp.registry.text import without_sources

__all__ = [
    "Checked",
    "DataError",
    "FileFacts",
    "Model",
    "Parameter",
    "Problem",
    "Registry",
    "Rule",
    "describe",
    "describe_call",
    "describe_text",
    "judges_shape",
    "load",
    "sources_of",
    "task_parameters",
    "without_sources",
]

DATA = Path(__file__).parent / "data"


def load(overlay: Path | None = None, *, allow_unlisted: bool = False) -> Registry:
    """The registry: built-in models, read once a process, and the user's own file on top.

    A faulty overlay never raises; ``Registry.overlay_problems`` says what is wrong with it. With ``allow_unlisted``, a
    model that is not listed is sent nearly unchecked instead of refused.
    """
    files, models = _built_in()
    if overlay is not None:
        return load_overlay(overlay, files.whole, models, allow_unlisted=allow_unlisted)
    return Registry(files.common, models, allow_unlisted=allow_unlisted)


@cache
def _built_in() -> tuple[Files, Models]:
    files = Files([DATA / "common.toml", *sorted(DATA.glob("*-*.toml"), key=lambda path: path.stem)])
    return files, Models(files)
