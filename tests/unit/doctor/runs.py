"""One run of the doctor, as a program reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evolink_mcp import cli


class Run:
    """One run of the command, as a program reads it."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        with pytest.raises(SystemExit) as raised:
            cli.main(["doctor", "--json", *arguments])
        self.code = raised.value.code
        self.text = capsys.readouterr().out
        self.report: dict[str, Any] = json.loads(self.text)

    def found(self, name: str) -> list[tuple[str, str]]:
        return [(each["level"], each["found"]) for each in self.report["checks"] if each["name"] == name]

    def only(self, name: str) -> tuple[str, str]:
        (found,) = self.found(name)
        return found
