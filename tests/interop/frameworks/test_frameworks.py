"""The snippets of docs/frameworks.md do the job: submit a picture, wait for it, and hear a refusal as one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.conftest import server_environment
from tests.interop.frameworks.environments import FRAMEWORKS, PAGE, Framework, table
from tests.interop.frameworks.model import DONE, END, REFUSAL, UNKNOWN_MODEL, WAIT, scripted_model
from tests.support import Sandbox

# Longer than the time-outs of 5 s that some frameworks have unless they are told otherwise.
IMAGE_SECONDS = 7.0
LONGEST = 300  # seconds
BRIDGES = {"mcpo", "mcp-proxy", "supergateway", "mcp-remote"}  # test_bridges.py


@pytest.mark.parametrize(
    "framework",
    [pytest.param(each, marks=pytest.mark.heavy if each.heavy else ()) for each in FRAMEWORKS],
    ids=lambda framework: framework.name,
)
def test_a_framework_submits_waits_and_hears_a_refusal(framework: Framework, sandbox: Sandbox, tmp_path: Path) -> None:
    program = framework.prepare()
    sandbox.configure(image_seconds=IMAGE_SECONDS)
    with scripted_model() as model:
        env = {
            **server_environment(sandbox),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_BASE": model.url,
            "OPENAI_API_KEY": "none",
        }
        command = [program, framework.write(tmp_path)]
        ran = subprocess.run(
            command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert len(model.requests) == END + 1, ran.stdout + ran.stderr[-3000:]
    (task_id,) = set(re.findall(r"task-unified-[\w-]+", model.seen(WAIT)))
    finished = model.seen(REFUSAL)
    assert task_id in finished
    assert f"{sandbox.url}/results/" in finished
    assert "completed" in finished
    refusal = model.seen(END)
    assert UNKNOWN_MODEL in refusal
    assert "[invalid_parameters]" in refusal
    assert "Charged: no." in refusal
    assert DONE in ran.stdout
    assert sandbox.paid() == 1


def test_the_page_says_what_is_run_here() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows: dict[str, str] = dict(re.findall(r"^\| \[(.+?)\]\(#\S+\) \| (\w+)", page, re.MULTILINE))
    assert list(rows) == re.findall(r"^### (.+)$", page, re.MULTILINE)
    for framework in FRAMEWORKS:
        assert rows[framework.name] == ("heavy" if framework.heavy else "run")
    run = {name for name, outcome in rows.items() if outcome in ("run", "heavy")}
    assert run == {framework.name for framework in FRAMEWORKS} | BRIDGES


def test_the_table_of_the_documents_is_that_of_the_environments() -> None:
    lines = PAGE.with_name("interop.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| framework | installed | |") + 2
    assert lines[start : start + len(FRAMEWORKS)] == table()
