"""The README's first command, as a child process: every step said, real files left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.raw import environment
from tests.open_files import check_folder


def test_the_demo_does_the_whole_job_and_leaves_files_that_open(tmp_path: Path) -> None:
    out = tmp_path / "made here"
    command = [sys.executable, "-m", "evolink_mcp", "demo", "--out", str(out), "--picture", str(tmp_path / "a.svg")]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, encoding="utf-8", timeout=270, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for step in (
        "list_models",
        "generate_image",
        "check_task",
        "upload_file",
        "generate_video",
        "list_files",
        "delete_file",
    ):
        assert step in done.stdout
    size, seconds = check_folder(out)
    assert size[0] > size[1] > 500
    assert abs(seconds - 5) < 0.2
    assert sorted(path.suffix for path in out.iterdir() if path.is_file()) == [
        *(".jpg", ".jpg"),
        *(".json", ".json"),
        ".mp4",
        ".png",
    ]
    for preview in out.glob("*.jpg"):
        assert str(preview) in done.stdout
    assert done.stderr == ""
    table = done.stdout.partition("What is left on your disk")[2].splitlines()
    assert all(len(line) <= 80 for line in table if line.startswith(("┏", "┃", "┡", "│", "└")))
    assert all(path.name in "\n".join(table) for path in out.iterdir() if path.suffix != ".json" and path.is_file())
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert "generate_video" in drawn
    assert "font-face" not in drawn


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_in_order(ending: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "evolink_mcp", "demo", "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment({"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}),
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        output = b""
        while b"generate_image" not in output:
            output += os.read(process.stdout.fileno(), 4096)
        process.send_signal(signal.Signals[ending])
        output += process.stdout.read()
    assert process.returncode in (130, 143)
    assert b"Traceback" not in output
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
