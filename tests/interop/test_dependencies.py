"""The lowest versions that pyproject.toml declares, and the newest there are: the server does its job with both.

Installed are the dependencies alone; the server runs from the checkout.
"""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifests.facts import ROOT
from tests.e2e.raw import environment
from tests.interop import grid, software
from tests.interop.conftest import server_environment
from tests.interop.grid import Cell
from tests.interop.job import Server, approve, done_by
from tests.open_files import check_folder
from tests.programs import RedisServer, end
from tests.snapshots import PARAMETERS, read_snapshot, with_steady_card
from tests.support import Sandbox

CLIENT = Path(__file__).parent / "clients" / "python2.py"
pytestmark = pytest.mark.xdist_group("dependencies")  # an environment made once serves all of them
PROJECT = ROOT / "pyproject.toml"


@pytest.fixture(scope="session", params=["lowest-direct", "highest"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the lowest, or the newest, of what is declared; made anew, since the newest changes."""
    folder = tmp_path_factory.mktemp(request.param)
    extras = ("--extra", "preview", "--extra", "redis", "--extra", "s3")
    found = software.environment(folder, "--resolution", request.param, "--requirements", str(PROJECT), *extras)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "checkout.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    return found


@pytest.fixture
def served(python: Path, sandbox: Sandbox, tmp_path: Path) -> Iterator[Server]:
    """The program under that interpreter, over stdio and over HTTP with a shared store."""
    sandbox.configure(image_seconds=4)
    with RedisServer(tmp_path) as redis:
        env = server_environment(sandbox)
        command = [str(python), "-m", "evolink_mcp"]
        with subprocess.Popen(
            [*command, "http", "--port", "0"], env={**env, "EVOLINK_STATE_URL": redis.url}, stdout=subprocess.PIPE
        ) as process:
            try:
                assert process.stdout is not None
                url = process.stdout.readline().decode().split(" at ")[1].split("/mcp")[0]
                yield Server(command=(*command, "stdio"), env=env, url=url, key=env["EVOLINK_API_KEY"])
            finally:
                end(process)


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_job_is_done_and_the_schemas_are_the_same(
    transport: str, python: Path, served: Server, sandbox: Sandbox
) -> None:
    cell = Cell(grid.PYTHON_2, transport, "auto")
    done = done_by([python, CLIENT], cell, served)
    approve(done, cell, sandbox)
    assert [with_steady_card(shape) for shape in done.schemas or ()] == [read_snapshot(name) for name in PARAMETERS]


@pytest.mark.parametrize("python", ["lowest-direct"], indirect=True)  # `make demo` has the newest
def test_the_demo_leaves_files_that_open(python: Path, tmp_path: Path) -> None:
    command = [str(python), "-m", "evolink_mcp", "demo", "--out", str(tmp_path)]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    check_folder(tmp_path)


def test_the_lowest_versions_are_those_declared() -> None:
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = declared["optional-dependencies"]
    for requirement in [*declared["dependencies"], *extras["preview"], *extras["redis"], *extras["s3"]]:
        assert ">=" in requirement, f"{requirement} has no lowest version"
