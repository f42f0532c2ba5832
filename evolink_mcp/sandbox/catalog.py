"""The models this sandbox knows, read from ``data/models.json``, which ``make generated`` writes.

Only what a sandbox has to know to play a model is there: its endpoint, what comes out, what it can do without. The
figures of the two models with pages of their own (S3, S4) are in ``rules.py`` and ``sizes.py``, typed a second time, so
that the tests can disagree with the client.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from evolink_mcp.sandbox.wire import Json

MediaKind = Literal["image", "video", "audio"]
Makes = Literal["file", "songs", "character", "element", "persona", "voice"]
Page = Literal["", "S3", "S4"]

_DATA = Path(__file__).parent / "data" / "models.json"


@dataclass(frozen=True, slots=True)
class Model:
    """One model: which endpoint takes it, what comes out, and what it can do without."""

    name: str
    kind: MediaKind
    makes: Makes = "file"
    needs_prompt: bool = True
    sound: bool = False
    """A sound track unless the request says otherwise."""
    defaults: Json = field(default_factory=dict[str, Any])
    """What a request means that does not say it: size, length, number."""
    number: int = 1
    """Files of one request that cannot name a number; ``drafts`` where it asks for drafts."""
    drafts: int = 1
    flags: bool = False
    """It reads ``--ar`` in a prompt."""
    follows: bool = False
    """What it makes has the size, the length and the sound of the clip it is given, or of an earlier task's file."""
    scales: bool = False
    """It enlarges a clip, twice unless the request says otherwise."""
    extends: Literal["", "added", "total"] = ""
    """It follows, and is longer than that clip: by ``duration``, or so that it lasts ``duration`` in all."""
    page: Page = ""
    """The page of its own that its requests are held to."""
    placeholder: bool = False
    """A name without an API behind it (S2)."""

    @property
    def makes_files(self) -> bool:
        """Whether links to files come out, not the name of something to use later."""
        return self.makes in ("file", "songs")


@cache
def models() -> dict[str, Model]:
    """Every model by its name."""
    rows: dict[str, dict[str, Any]] = json.loads(_DATA.read_text(encoding="utf-8"))
    return {name: Model(name, **row) for name, row in rows.items()}
