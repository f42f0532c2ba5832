"""The list of mends, which ``make mends`` takes out one by one, is true: their texts and their tests are there."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from manifests.facts import ROOT
from tests.mends import AT_AWAITS, Mend, mends
from tests.mends.__main__ import NOT_TRIED, NOTICED, SURVIVED, attempt

MENDS = list(mends())


@cache
def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_mend_stands_once_where_it_is_said_to_and_code_is_left_without_it() -> None:
    for mend in MENDS:
        source = (ROOT / mend.file).read_text(encoding="utf-8")
        changed = mend.take_out(source)
        assert changed != source, mend.name
        compile(changed, mend.file, "exec")


def test_each_test_of_a_mend_is_there() -> None:
    for mend in MENDS:
        assert mend.tests, mend.name
        for test in mend.tests:
            path, _, name = test.partition("::")
            assert name.partition("[")[0] in functions(ROOT / path), f"{mend.name}: {test}"


def test_each_mend_of_a_purchase_is_held_at_every_await_or_says_why_not() -> None:
    rooms = {f"evolink_mcp/jobs/{each}.py" for each in AT_AWAITS}
    for mend in MENDS:
        at_awaits = bool(mend.at_awaits().tests)
        assert not (at_awaits and mend.beside), mend.name
        assert at_awaits or mend.beside or mend.file not in rooms, mend.name


def test_no_two_mends_have_one_name() -> None:
    assert not [name for name, count in Counter(mend.name for mend in MENDS).items() if count > 1]


@pytest.mark.parametrize(("out", "outcome"), [("+ 1", NOTICED), ("+ 0", SURVIVED), ("+ 2", NOT_TRIED)])
def test_what_is_taken_out_is_noticed_where_its_test_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, outcome: str
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # loading them takes longer than all the rest
    source = "def add(number: int) -> int:\n    return number + 1 + 0\n"
    (tmp_path / "sums.py").write_text(source)
    (tmp_path / "test_sums.py").write_text("import sums\n\n\ndef test_it():\n    assert sums.add(1) == 2\n")
    assert attempt(tmp_path, Mend("it adds", "sums.py", out, "", ("test_sums.py::test_it",))) == outcome
    assert (tmp_path / "sums.py").read_text() == source
