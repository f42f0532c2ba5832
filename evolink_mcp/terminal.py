"""The terminal that people read the output of commands on."""

from __future__ import annotations

import os
import re
from typing import Any

from rich.console import Console

_SIZES = ("COLUMNS", "LINES")
_SIZE = re.compile(r"[1-9][0-9]{0,4}")


class Terminal(Console):
    """A console of the terminal's size, or of the environment's where that is the size of one.

    Rich takes any digits there, and breaks down over those that ``int`` does not take.
    """

    def __init__(self, **options: Any) -> None:
        fit = {name: value for name, value in os.environ.items() if name not in _SIZES or _SIZE.fullmatch(value)}
        super().__init__(**options, _environ=fit)
