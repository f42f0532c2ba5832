"""The report of all checks: a table for people, JSON for programs. Neither shows a key or a password."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evolink_mcp import __version__
from evolink_mcp.guard.secrets import redact
from evolink_mcp.guard.text import clean_text

Level = Literal["ok", "note", "wrong"]
# In addresses, with a scheme and without (a drive of Windows is none); and what is named as a secret behind them. Each
# begins at few places and looks a bounded way from there: a finding may be long.
PASSWORD = re.compile(
    r"""(//)(?:[^/?#\s]*@|[^/?#\s@:]{0,1000}:(?![0-9]{1,5}(?:[/?#'"\s]|$))\S{1,1000}@)"""
    r"""|(?<![^\s'"])(?![A-Za-z]:[\\/])[^\s/@:'"]*:(?!//)\S{1,1000}@"""
    r"""|(?<![^\s/@'"])(?![A-Za-z]:\\)[^\s/@:'"]*:[^\s/]{1,1000}@"""
)
PARAMETER = re.compile(
    r"(?i)([?&#;](?=[^=&#;?\s]*?(?:key|token|secret|passw|pwd|auth(?!ors?(?![a-z]))|credential|(?<!de)(?<!as)sig))"
    r"[^=&#;?\s]*=)[^&#\s]+"
)
COLOURS: dict[Level, str] = {"ok": "green", "note": "yellow", "wrong": "red"}


@dataclass(frozen=True)
class Check:
    """One check and its ``finding``. ``next_step`` says what to do about it, and is never empty where it is wrong."""

    name: str
    level: Level
    finding: str
    next_step: str = ""


class Report:
    """All findings, each in one line. ``secrets``, and passwords in addresses, are hidden wherever they turn up."""

    def __init__(self, checks: Sequence[Check], secrets: Sequence[str] = ()) -> None:
        def clean(text: str) -> str:
            line = redact(clean_text(text), *secrets).replace("\n", " ")
            return PARAMETER.sub(r"\1***", PASSWORD.sub(r"\1***@", line))

        self.checks = [Check(each.name, each.level, clean(each.finding), clean(each.next_step)) for each in checks]

    @property
    def ok(self) -> bool:
        return all(check.level != "wrong" for check in self.checks)

    def as_json(self) -> str:
        """``{version, ok, checks: [{name, level, found, next_step}]}``."""
        checks = [
            {"name": each.name, "level": each.level, "found": each.finding, "next_step": each.next_step}
            for each in self.checks
        ]
        return json.dumps({"version": __version__, "ok": self.ok, "checks": checks}, indent=2, ensure_ascii=False)

    def show(self) -> None:
        """Draws the table on stdout, and what to do below it."""
        from rich.markup import escape
        from rich.table import Table

        from evolink_mcp.terminal import Terminal

        table = Table(title=f"evolink-mcp {__version__}", title_justify="left")
        for column in ("check", "", "found"):
            table.add_column(column, overflow="fold")
        for check in self.checks:
            colour = COLOURS[check.level]
            table.add_row(escape(check.name), f"[{colour}]{check.level}[/{colour}]", escape(check.finding))
        console = Terminal()
        console.print(table)
        for level in ("wrong", "note"):
            for check in self.checks:
                if check.level == level and check.next_step:
                    text = f"[{COLOURS[level]}]{level}[/] {escape(check.name)}: {escape(check.next_step)}"
                    console.print(text, highlight=False, soft_wrap=True)
        console.print("All is well." if self.ok else "Something is wrong; see above for what to do.")
