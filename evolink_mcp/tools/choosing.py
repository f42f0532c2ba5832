"""What the instructions say of models and inputs: the defaults, good choices, and where files may lie.

The models come from ``registry/data/choices.json``, which ``make generated`` writes: the registry itself is too much to
read at a start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from evolink_mcp.settings import Settings
from evolink_mcp.settings.table import IMAGE_MODEL, VIDEO_MODEL

PATH = Path(__file__).parents[1] / "registry" / "data" / "choices.json"
MAX_FOLDERS = 3  # named; more help nobody
MAX_FOLDER_CHARACTERS = 80

NO_FILES = "files of the user's only through upload_file"


def defaults_text(settings: Settings, *, brief: bool = False) -> str:
    """The model of a call that names none, of each kind; unless ``brief`` what took its place, and what changes it."""
    parts: list[str] = []
    for kind, chosen, variable in (
        ("images", settings.image_model, IMAGE_MODEL),
        ("videos", settings.video_model, VIDEO_MODEL),
    ):
        model = chosen or _data()["defaults"][kind.removesuffix("s")]
        newer = None if brief else _data()["superseded"].get(model)
        parts.append(f"{model[:80]} for {kind}" + (f" (superseded by {newer}; {variable} changes it)" if newer else ""))
    return f"The default is {', '.join(parts)}."


def choices_text(kinds: Sequence[str] = ("image", "video")) -> str:
    """A good choice for what is asked for most."""
    return f"Good choices: {'; '.join(_listed(_data()['choices'][kind]) for kind in kinds)}."


def speech_model() -> str:
    """A good choice for speech."""
    return _data()["choices"]["audio"]["speech"]


def files_text(folders: Sequence[Path] | None, *, brief: bool = False) -> str:
    """Where local files may lie, by name unless ``brief``; ``None`` where the caller is on another machine."""
    if not folders:
        return NO_FILES
    short = [str(folder) for folder in folders if len(str(folder)) <= MAX_FOLDER_CHARACTERS]
    names = [] if brief else short[:MAX_FOLDERS]
    where = f"in {', '.join(names)}" if names else "in an allowed folder"
    more = " and other folders" if 0 < len(names) < len(folders) else ""
    return f"local files {where}{more}, by relative paths too (uploaded, kept 72 hours)"


def _listed(choices: Mapping[str, str]) -> str:
    return ", ".join(f"{model} ({what})" for what, model in choices.items())


@cache
def _data() -> Mapping[str, Any]:
    return json.loads(PATH.read_text(encoding="utf-8"))
