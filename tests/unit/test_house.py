"""The house stays as drawn: imports point down, tables agree with the code, one version."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import evolink_mcp
from evolink_mcp import cli
from evolink_mcp.settings import Settings
from evolink_mcp.settings.table import VARIABLES
from tests.snapshots import TOOLS, read_snapshot

ROOT = Path(evolink_mcp.__file__).parent
REPOSITORY = ROOT.parent

# What each room may import of the package. `registry` is a library; `sandbox` a second reading of the REST API.
DOWN: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"errors"},
    "guard": {"errors", "settings"},
    "gateway": {"cache", "guard", "errors", "settings"},
    "registry": set(),
    "sandbox": set(),
    "media": {"gateway", "guard", "errors", "settings"},
    "jobs": {"gateway", "guard", "errors", "settings"},
    "sdk": {"jobs", "guard"},
    "tools": {"sdk", "jobs", "media", "registry", "gateway", "guard", "errors", "settings"},
    "card": {"tools", "sdk", "jobs", "media", "gateway", "guard", "errors", "settings"},
    "skills": set(),
    "server": {"card", "skills", "sdk", "tools", "settings"},
    "transports": {
        "front",
        "signals",
        "server",
        "sdk",
        "tools",
        "jobs",
        "media",
        "gateway",
        "guard",
        "errors",
        "settings",
        "sandbox",
    },
    "demo": {"sandbox", "terminal"},
    "install": {"settings", "errors"},
    "doctor": {"install", "registry", "gateway", "media", "guard", "jobs", "errors", "settings", "terminal"},
    "arguments": {"transports", "install", "settings"},
    "cli": {
        "front",
        "arguments",
        "transports",
        "tools",
        "demo",
        "usage",
        "install",
        "doctor",
        "sandbox",
        "guard",
        "errors",
        "settings",
        "terminal",
    },
    "cache": set(),
    "recall": {"cache"},
    "signals": set(),
    "terminal": set(),
    "front": {"recall", "sdk", "signals"},
    "usage": {"jobs", "guard", "errors", "settings"},
    "__main__": {"cli"},
    "__init__": set(),
}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "evolink_mcp" and len(parts) > 1:
                rooms.add(parts[1])
    return rooms


def test_imports_point_down() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        room = room_of(path)
        allowed = DOWN[room] | {room, "__version__"}
        assert imported_rooms(path) <= allowed, path


def test_only_the_command_line_prints() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
        assert not calls or path.name == "cli.py", path


@pytest.mark.parametrize(
    "module",
    [
        "PIL",
        "av",
        "platformdirs",
        "redis",
        "obstore",
        "evolink_mcp.gateway.transport",
        "evolink_mcp.jobs.purchases",
        "evolink_mcp.jobs.shared",
        "evolink_mcp.media",
        "mcp.server.apps",
        "evolink_mcp.card.show",
        "evolink_mcp.registry",
        "evolink_mcp.sandbox",
        "evolink_mcp.demo",
    ],
)
def test_starting_the_server_loads_only_what_the_first_call_needs(module: str) -> None:
    code = (
        "import sys; from evolink_mcp.transports import stdio; from evolink_mcp.settings import Settings;"
        "from evolink_mcp.tools.app import App; from evolink_mcp.server import create_server;"
        "create_server(App(Settings()))"
    )
    assert module not in modules(code)


@pytest.mark.parametrize("module", ["rich", "evolink_mcp.tools.text", "evolink_mcp.tools.account", "sqlite3"])
def test_the_program_loads_only_what_it_offers(module: str) -> None:
    code = (
        "import sys; from evolink_mcp.guard.logs import set_up_logging; set_up_logging('INFO');"
        "from evolink_mcp.settings import Settings; from evolink_mcp.tools.app import App;"
        "from evolink_mcp.server import create_server; create_server(App(Settings()))"
    )
    assert module not in modules(code)


def test_a_program_that_has_started_collects_garbage_again_but_not_what_it_started_with() -> None:
    code = (
        "import gc, sys; from evolink_mcp import cli\n"
        "try: cli.main(['stdio'])\n"
        "except SystemExit: print(gc.isenabled() and gc.get_freeze_count() > 10_000)"
    )
    assert printed(code) == ["True"]


@cache
def modules(code: str) -> frozenset[str]:
    """What a fresh program has loaded in the end."""
    return frozenset(printed(f"{code}\nprint(*sys.modules)"))


def printed(code: str) -> list[str]:
    """The words that a fresh program prints, one that is not measured for coverage."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=plain,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()


def test_the_version_is_written_in_one_place() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]
    found = [
        path
        for path in (*ROOT.rglob("*.py"), REPOSITORY / "pyproject.toml")
        if f'"{evolink_mcp.__version__}"' in path.read_text(encoding="utf-8")
    ]
    assert found == [ROOT / "__init__.py"]


def test_every_room_says_what_lives_there() -> None:
    for path in ROOT.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_every_setting_but_a_flag_is_a_row_of_the_table() -> None:
    fields = {each.name for each in dataclasses.fields(Settings)} - {"read_only", "ignored"}
    assert {variable.field for variable in VARIABLES} == fields
    for variable in VARIABLES:
        default = variable.read(variable.default, {}) if variable.default else getattr(Settings(), variable.field)
        assert getattr(Settings(), variable.field) == default, variable.name


def test_a_variable_that_is_named_stands_in_the_table() -> None:
    for path in ROOT.rglob("*.py"):
        names = set(re.findall(r"EVOLINK_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8")))
        assert names <= {variable.name for variable in VARIABLES}, path


def test_help_describes_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    told = capsys.readouterr().out
    assert re.findall(r"^  (EVOLINK_[A-Z_]+) ", told, re.MULTILINE) == [variable.name for variable in VARIABLES]


def test_the_readme_lists_the_tools_in_their_order() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \|.* \| (.*) \|$", readme, re.MULTILINE)
    assert [name for name, _ in rows] == TOOLS["all"]
    paid = {name for name in TOOLS["all"] if "paid" in read_snapshot(name)["title"].lower()}
    assert {name for name, cost in rows if "credits" in cost} == paid


def test_links_between_documents_lead_somewhere() -> None:
    for document in (*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_documents_name_files_that_exist() -> None:
    """The changelog may name what is gone. Of tests, ``test_promises.py`` holds the same."""
    documents = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), *(REPOSITORY / ".github").rglob("*.md")]
    rooms = "|".join(sorted({room_of(path) for path in ROOT.rglob("*.py")} - {"__init__", "__main__"}))
    for document in documents:
        if document.name == "CHANGELOG.md":
            continue
        text = document.read_text(encoding="utf-8")
        for name in re.findall(rf"`((?:{rooms})/(?:[\w/]+\.py)?)`", text):
            assert (ROOT / name).exists(), f"{document.name}: {name}"
        for name in re.findall(r"`((?:evolink_mcp|tests|manifests|benchmarks|docs)/[\w./-]+)`", text):
            assert (REPOSITORY / name).exists(), f"{document.name}: {name}"


def test_the_index_leads_to_every_page() -> None:
    index = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {path.name for path in (REPOSITORY / "docs").glob("*.md")} - {"index.md"}
    parts = {page for page in pages if page.startswith("models-")}  # models.md leads to them
    assert pages - parts == set(re.findall(r"\]\((\w+\.md)\)", index)) - parts


MAX_FILE, MAX_CLASS, MAX_PARAMETERS = 300, 250, 6  # lines, lines, and how many beside ``self``


def is_declaration(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it is a tool, or what declares one: their parameters are what callers see."""
    decorators = [getattr(getattr(each, "func", each), "id", "") for each in function.decorator_list]
    return "tool" in (function.name, *decorators)


def test_a_file_is_read_in_one_sitting() -> None:
    sources = [path for folder in (ROOT, REPOSITORY / "tests") for path in folder.rglob("*.py")]
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert not {path: lines for path, lines in lengths.items() if lines > MAX_FILE}


def test_no_class_and_no_list_of_parameters_is_too_long() -> None:
    offenders: list[str] = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno >= MAX_CLASS:
                offenders.append(f"{path}: class {node.name}")
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_declaration(node):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                names = [each.arg for each in arguments if each.arg not in ("self", "cls")]
                if len(names) > MAX_PARAMETERS:
                    offenders.append(f"{path}: {node.name}({', '.join(names)})")
    assert not offenders
