"""Wheel, sdist and bundle as users get them: built, looked into, installed where nothing else is, and used."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from evolink_mcp import __version__
from manifests import bundle
from manifests.facts import ROOT
from tests.e2e.raw import environment
from tests.interop.software import UV, network
from tests.snapshots import PARAMETERS
from tests.support import KEY, Sandbox

pytestmark = pytest.mark.xdist_group("package")  # what is built once serves all of them
STEM = f"evolink_mcp-{__version__}"
# What may be in the wheel beside Python files.
PATTERNS = ("evolink_mcp/*/data/*.*", "evolink_mcp/card/*.[hsp]*", "evolink_mcp/skills/**/*.[mj]*")
DATA = {"evolink_mcp/py.typed", *(path.relative_to(ROOT).as_posix() for each in PATTERNS for path in ROOT.glob(each))}
INFO = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist; the wheel is built of the sdist, as an installer without wheels would."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    python = {path.relative_to(ROOT).as_posix() for path in (ROOT / "evolink_mcp").rglob("*.py")}
    assert names == python | DATA | {f"{STEM}.dist-info/{name}" for name in INFO}


def test_the_sdist_holds_what_builds_and_tests_it(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.removeprefix(f"{STEM}/") for name in archive.getnames()}
    assert {name.split("/")[0] for name in names} == {
        "evolink_mcp",
        "benchmarks",
        "tests",
        "docs",
        "manifests",
        ".claude-plugin",
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "PRIVACY.md",
        "Dockerfile",
        "constraints.txt",
        ".dockerignore",
        "LICENSE",
        ".gitignore",
        "PKG-INFO",
    }
    assert not [name for name in names if "__pycache__" in name or "/.venv" in name]


async def whole_job(command: list[str], sandbox: Sandbox, folder: Path, **env: str) -> None:
    """Lists the tools, makes an image and has it saved, as a client of the real program."""
    given = {
        "EVOLINK_BASE_URL": sandbox.url,
        "EVOLINK_FILES_URL": sandbox.url,
        "EVOLINK_API_KEY": KEY,
        "EVOLINK_OUTPUT_DIR": str(folder),
        **network(),
        **env,
    }
    server = StdioServerParameters(command=command[0], args=command[1:], env=environment(given), cwd=folder)
    with anyio.fail_after(300):
        async with Client(server) as client:
            assert client.server_info
            assert client.server_info.version == __version__
            assert [tool.name for tool in (await client.list_tools()).tools] == list(PARAMETERS)
            submitted = await client.call_tool("generate_image", {"prompt": "a red kite"})
            task = cast("dict[str, Any]", submitted.structured_content)
            checked = await client.call_tool("check_task", {"task_id": task["task_id"], "wait_seconds": 30})
    (result,) = cast("dict[str, Any]", checked.structured_content)["results"]
    assert Path(result["saved_path"]).read_bytes().startswith(b"\x89PNG")


async def test_the_wheel_alone_serves_every_tool(wheel: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    home = tmp_path / "empty"
    run(sys.executable, "-m", "venv", home)
    python = home / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    assert "av " not in run(python, "-m", "pip", "list").lower()  # frames of films need the largest of all packages
    await whole_job([str(home / "bin" / "evolink-mcp")], sandbox, tmp_path)


async def test_uvx_runs_the_wheel(wheel: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    await whole_job([str(UV), "tool", "run", "--from", str(wheel), "evolink-mcp"], sandbox, tmp_path)


def test_installed_by_uvx_it_writes_uvx_into_a_clients_file(wheel: Path, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    command = ["env", f"PATH={UV.parent}:/usr/bin:/bin", str(UV), "tool", "run", "--from", str(wheel), "evolink-mcp"]
    run(*command, "install", "cursor", "--write", "--file", file)
    entry = json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["evolink"]
    assert entry["args"] == ["--from", str(wheel), "evolink-mcp"]
    assert run(entry["command"], *entry["args"], "--version") == f"evolink-mcp {__version__}\n"


@pytest.mark.parametrize("folders", [[], ["uploads"]])
async def test_the_bundle_starts_as_its_manifest_says(folders: list[str], sandbox: Sandbox, tmp_path: Path) -> None:
    """The host's part is played here: it puts the user's values into the manifest's command."""
    where = tmp_path / "extension"
    with zipfile.ZipFile(bundle.pack(tmp_path)) as archive:
        archive.extractall(where)
        config = json.loads(archive.read("manifest.json"))["server"]["mcp_config"]
    args: list[str] = []
    for part in config["args"]:
        args += folders if part == "${user_config.upload_folders}" else [part.replace("${__dirname}", str(where))]
    unfilled = {} if folders else {"EVOLINK_UPLOAD_DIRS": "${user_config.upload_folders}"}
    assert config["command"] == "uv"
    await whole_job([str(UV), *args], sandbox, tmp_path, **unfilled)
