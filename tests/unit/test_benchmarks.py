"""The benchmarks' arithmetic, and that docs/performance.md says what was measured. Nothing here measures time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from benchmarks import __main__ as runner
from benchmarks import budgets, page
from benchmarks.__main__ import CHECKED, LONG, ROWS
from benchmarks.agents import is_whole
from benchmarks.budgets import BUDGETS, Budget
from benchmarks.contenders import OURS
from benchmarks.figures import percentile, ratio, summary, table
from benchmarks.lateness import seeds_loop
from benchmarks.load import NUMBER, Load
from benchmarks.start import compact, without_output
from benchmarks.turns import peer
from benchmarks.workers import Rates

GOOD = {each.figure: each.limit for each in BUDGETS}


def test_a_budget_holds_at_its_limit() -> None:
    assert budgets.broken(GOOD) == []


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda each: each.figure)
def test_a_budget_breaks_just_beyond_its_limit(budget: Budget) -> None:
    beyond = budget.limit * (0.99 if budget.least else 1.01)
    assert budgets.broken({**GOOD, budget.figure: beyond}) == [budget]
    assert budget.verdict(beyond).startswith("BROKEN")


def test_a_figure_at_its_limit_is_worth_more_rounds_and_one_well_within_it_is_not() -> None:
    assert not budgets.clear(GOOD)
    assert not budgets.clear({"start.ratio": 1.09})
    assert budgets.clear({"start.ratio": 1.02, "start.second": 0.15, "calls.ratio": 0.9})
    assert not budgets.clear({"start.ratio": 1.02, "calls.ratio": 0.70})


def test_what_was_not_measured_does_not_hold() -> None:
    figures = {name: value for name, value in GOOD.items() if name != "growth.mb"}
    assert [each.figure for each in budgets.broken(figures)] == ["growth.mb"]


def test_every_budget_is_of_a_section_that_the_check_measures() -> None:
    measured = {section for name in CHECKED for section in (ROWS | LONG)[name]}
    assert {each.figure.split(".")[0] for each in BUDGETS} <= measured


def test_a_ratio_is_the_median_over_pairs() -> None:
    assert ratio([2.0, 40.0, 3.0], [1.0, 10.0, 3.0]) == 2.0


def test_figures_are_told_with_their_spread() -> None:
    assert summary([0.3, 0.1, 0.2], scale=1000) == "200 (100–300)"
    assert percentile([float(each) for each in range(100)], 99) == 99
    assert table(["a", "b"], [["1|2", "3"]]) == "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |"


def test_the_loop_of_the_quick_start_reads_at_once_and_every_five_seconds() -> None:
    assert seeds_loop(10) == (0, 3)
    assert seeds_loop(11) == (4, 4)


def test_the_tool_list_is_counted_without_output_schemas_too() -> None:
    tools: list[dict[str, Any]] = [{"name": "ä", "outputSchema": {}}]
    assert compact(without_output(tools)) == len('[{"name":"ä"}]'.encode())


def test_the_peers_flow_is_counted_look_by_look() -> None:
    assert peer(("image",), 1) == (5, 413 + 3 * 323 + 499)


def test_no_contender_reaches_further_than_loopback() -> None:
    assert {value for name, value in OURS.env.items() if name.endswith("_URL")} == {"http://127.0.0.1:9"}


def test_the_page_is_made_of_the_figures() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_figures(text, page.read_results()) == text


def test_every_row_of_the_page_was_measured() -> None:
    results = json.loads(page.RESULTS.read_text(encoding="utf-8"))
    sections = [section for names in ROWS.values() for section in names]
    long = {section for names in LONG.values() for section in names}
    assert [name for name in cast("dict[str, object]", results["sections"]) if name not in long] == sections


def test_a_prepared_call_is_whole_with_any_number() -> None:
    load = Load(8000, "generate_image", {"prompt": f"a red kite, {NUMBER}"}, "task", seconds=1, connections=1)
    head, _, body = b"000000042".join(load.request()).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}\r\n".encode() in head
    assert json.loads(body)["params"]["arguments"] == {"prompt": "a red kite, 000000042"}


def test_an_answer_is_whole_with_its_last_chunk_or_all_of_its_length() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert [is_whole(bytearray(head + body)) for body in (b"", b"{", b"{}")] == [False, False, True]
    chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"
    assert [is_whole(bytearray(chunks + end)) for end in (b"", b"0\r\n\r\n")] == [False, True]


@pytest.mark.parametrize(("beside", "times"), [(0.0, 2.0), (0.25, 1.6)])
def test_two_workers_can_do_no_more_than_the_processors_beside_load_and_store(
    monkeypatch: pytest.MonkeyPatch, beside: float, times: float
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    used = {"server": 1.0, "load": beside, "store": 0.0, "gateway": 0.0, "others": 1.0}
    assert Rates(processors=[used]).possible() == times


def test_the_least_busy_worker_is_told_from_the_processes_that_serve_nothing() -> None:
    assert Rates(processes=[[0.0, 0.01, 0.99, 1.0]]).least(2) == 0.495


def test_what_is_written_by_hand_outlives_new_figures() -> None:
    results: dict[str, Any] = {"machine": "m", "software": "s", "sections": {}}
    text = f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n"
    assert page.with_figures(text, results) == f"before\n{page.BEGIN}\n\nMeasured on m; s.\n\n{page.END}\nafter\n"


def measuring(
    monkeypatch: pytest.MonkeyPatch, watch: Callable[[str], object] = str, **changes: Sequence[float]
) -> list[str]:
    """Stands in for the measurements: all budgets hold, but for ``changes``, which give a figure turn by turn.

    ``watch`` is called with the name of each while it is measured.
    """
    asked: list[str] = []
    good = {each.figure: each.limit for each in BUDGETS}

    def checked(name: str) -> dict[str, dict[str, float]]:
        turn = asked.count(name)
        asked.append(name)
        watch(name)
        sections: dict[str, dict[str, float]] = {}
        for figure, value in good.items():
            section, _, key = figure.partition(".")
            if section in (ROWS | LONG)[name]:
                summary = changes.get(figure.replace(".", "_"))
                sections.setdefault(section, {})[key] = summary[min(turn, len(summary) - 1)] if summary else value
        return sections

    def import_module(path: str) -> SimpleNamespace:
        return SimpleNamespace(checked=partial(checked, path.rpartition(".")[2]))

    monkeypatch.setattr(runner, "import_module", import_module)
    return asked


def test_a_budget_that_noise_breaks_once_is_measured_again_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measuring(monkeypatch, start_ratio=(1.3, 1.05), memory_more_mb=(5, 90))
    assert runner.check() == 0
    assert sorted(asked[:-1]) == sorted(CHECKED)  # two of them at once
    assert asked[-1] == "start"


def test_what_could_not_be_measured_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failures: list[BaseException] = [SystemExit("the floor does not start"), ConnectionError()]

    def watch(name: str) -> None:
        if name == "start" and failures:
            raise failures.pop(0)

    asked = measuring(monkeypatch, watch)
    assert runner.check() == 0
    assert asked.count("start") == 3
    assert "start could not be measured: the floor does not start" in capsys.readouterr().out


def test_memory_grows_while_agents_wait_and_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, over = threading.Event(), threading.Event()
    company: list[bool] = []

    def watch(name: str) -> None:
        if name == "growth":
            under_way.set()
            over.wait(0 if company else 10)
            under_way.clear()
        elif name == "waits":
            company.append(under_way.wait(0 if company else 10))
            over.set()
        else:
            assert not under_way.is_set()

    measuring(monkeypatch, watch, growth_mb=(5, 1), waits_growth=(5, 1))
    assert runner.check() == 0
    assert company == [True, False]


def test_a_budget_that_never_holds_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = measuring(monkeypatch, calls_ratio=(0.5,))
    assert runner.check() == 1
    assert asked.count("calls") == runner.ATTEMPTS
    assert "BROKEN  calls in process" in capsys.readouterr().out
