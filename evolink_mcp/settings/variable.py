"""What a variable is. The table of all is :mod:`evolink_mcp.settings.table`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from evolink_mcp.settings.readers import Reader

SWITCH: Mapping[str, bool] = {
    **dict.fromkeys(("on", "1", "true", "yes", "y", "t", "enable", "enabled"), True),
    **dict.fromkeys(("off", "0", "false", "no", "n", "f", "disable", "disabled"), False),
}


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        field: The field of ``Settings`` that it fills.
        read: Its type: makes the field's value of its text.
        meaning: What it is for, in the README's Markdown.
        default: The text that amounts to not setting it, where there is one.
        otherwise: What holds where it is not set, in words, where ``default`` cannot say it.
        choices: The words that it takes, where these are few. Synonyms are not among them.
        guards: A value that cannot be used must stop the start, because the default may send, spend or open more than
            was meant.
        secret: It is never shown.
        remote_only: It is of no use to a desktop client.
    """

    name: str
    field: str
    read: Reader
    meaning: str
    default: str = ""
    otherwise: str = "–"
    choices: tuple[str, ...] = ()
    is_file: bool = False
    guards: bool = False
    secret: bool = False
    remote_only: bool = False

    @property
    def plain(self) -> str:
        """The meaning without Markdown."""
        return plain(self.meaning)

    @property
    def default_text(self) -> str:
        """What holds where it is not set, in Markdown."""
        return f"`{self.default}`" if self.default else self.otherwise


def plain(markdown: str) -> str:
    """Text without the Markdown that the table uses: links and code."""
    return re.sub(r" ?\(\[[^]]*\]\([^)]*\)\)", "", markdown).replace("`", "")
