"""What commands print has the terminal's size, whatever the environment says."""

from __future__ import annotations

import io

import pytest

from evolink_mcp.terminal import Terminal


@pytest.mark.parametrize("size", ["9" * 5000, "²", "٣٠", "9" * 12, "0", "-1", "nan", ""])
def test_a_size_that_no_terminal_has_is_left_alone(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
    usual = Terminal(file=io.StringIO()).size
    monkeypatch.setenv("COLUMNS", size)
    monkeypatch.setenv("LINES", size)
    assert Terminal(file=io.StringIO()).size == usual


def test_the_size_that_the_environment_names_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "30")
    assert Terminal(file=io.StringIO()).size == (100, 30)
