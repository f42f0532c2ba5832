"""Every command that the README shows works: most are run, and of the others it is said why not, and what is.

A command that no rule knows makes the test fail: add a rule that runs it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from evolink_mcp.arguments import parser
from evolink_mcp.registry import load
from manifests.facts import ROOT
from tests.e2e.raw import environment
from tests.programs import RedisServer, end
from tests.support import KEY, Sandbox

PROGRAMS = ("evolink-mcp", "make", "pip", "pipx", "uv", "uvx", "npx", "claude", "codex", "code", "docker", "curl")
PLACES = {"CLIENT": "cursor", "s3://BUCKET/PREFIX": "s3://kept/results", "MODEL": next(iter(load().models))}


@dataclass(frozen=True)
class Machine:
    """Where commands are run: a home of their own, and a sandbox for a gateway."""

    home: Path
    sandbox: Sandbox

    @property
    def env(self) -> dict[str, str]:
        urls = {"EVOLINK_BASE_URL": self.sandbox.url, "EVOLINK_FILES_URL": self.sandbox.url}
        return environment({**urls, "EVOLINK_API_KEY": KEY, "HOME": str(self.home)})

    def run(self, *words: str, **env: str) -> str:
        """Runs a command of ours to its end; what it prints."""
        command = [sys.executable, "-m", "evolink_mcp", *words]
        done = subprocess.run(
            command, env=self.env | env, cwd=self.home, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def commands_in(text: str) -> list[str]:
    """Every command of a document: the lines after ``$`` in console blocks, and code in a sentence that starts so."""
    found: list[str] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = re.sub(r"\\\n", " ", block).splitlines()
        found += [line[2:] for line in lines if line.startswith("$ ")]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found += [code for code in re.findall(r"`([^`]+)`", prose) if code.split()[0] in PROGRAMS and " " in code]
    return list(dict.fromkeys(found))


def words_of(command: str) -> list[str]:
    return [PLACES.get(word, word) for word in shlex.split(command, comments=True)]


def install(words: list[str], machine: Machine) -> None:
    told = machine.run(*words[1:])
    (path,) = [path for path in machine.home.rglob("*") if path.is_file() and path.suffix in (".json", ".toml")]
    assert "evolink" in path.read_text(encoding="utf-8")
    assert path.name in told


def doctor(words: list[str], machine: Machine) -> None:
    if "--client" in words:
        machine.run("install", words[-1], "--write", *(f"--env={each}" for each in machine.env if "EVOLINK_" in each))
    assert "accepted" in machine.run(*words[1:])


def models(words: list[str], machine: Machine) -> None:
    assert all(word in machine.run(*words[1:]) for word in (words[2:] or list(load().models)[:1]))


def usage(words: list[str], machine: Machine) -> None:
    with RedisServer(machine.home) as redis:
        told = machine.run(*words[1:], EVOLINK_STATE_URL=redis.url)
    assert "Nobody has called" in told


def http(words: list[str], machine: Machine) -> None:
    """Served on a free port, asked once, and ended."""
    command = [sys.executable, "-m", "evolink_mcp", *words[1:], "--port", "0"]
    with subprocess.Popen(command, env=machine.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().split(" at ")[1].split("/mcp")[0]
            assert httpx2.get(f"{url}/ready", trust_env=False).status_code == 200
        finally:
            end(process)


def target(words: list[str], machine: Machine) -> None:
    """Not run: `.ci/run` does, and `make test` would come back here. The target is there and can be planned."""
    planned = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert planned.returncode == 0, planned.stderr


def package(words: list[str], machine: Machine) -> None:
    """Not run: tests/interop/test_package.py installs what is built. What is named here exists."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.fullmatch(r"\.(?:\[(\w+)\])?", words[-1])
    assert named
    assert named[1] is None or named[1] in project["optional-dependencies"]


def published(words: list[str], machine: Machine) -> None:
    """Not run: tests/interop/test_package.py runs the wheel so; the name is the package's and its command's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert words[1:] == [project["name"]]
    assert project["name"] in project["scripts"]


def elsewhere(words: list[str], machine: Machine) -> None:
    """Run by tests/interop/test_manifests.py, since the program comes from npm."""
    source = (ROOT / "tests" / "interop" / "test_manifests.py").read_text(encoding="utf-8")
    assert ", ".join(f'"{word}"' for word in words[1:4]) in source


Rule = Callable[[list[str], Machine], None]
RULES: dict[str, Rule] = {
    r"evolink-mcp install \S+ --write.*": install,
    r"evolink-mcp doctor( --client \S+)?": doctor,
    r"evolink-mcp models( \S+)?": models,
    r"evolink-mcp http": http,
    r"evolink-mcp usage": usage,
    r"make [a-z]+": target,
    r"pipx? install \S+": package,
    r"uvx \S+": published,
    r"claude plugin .*": elsewhere,
}
README = commands_in((ROOT / "README.md").read_text(encoding="utf-8"))


def rule_for(command: str) -> Rule | None:
    plain = " ".join(words_of(command))
    return next((rule for pattern, rule in RULES.items() if re.fullmatch(pattern, plain)), None)


@pytest.mark.parametrize("command", README)
def test_a_command_of_the_readme_works(command: str, sandbox: Sandbox, tmp_path: Path) -> None:
    rule = rule_for(command)
    assert rule is not None, f"no rule runs {command!r}"
    rule(words_of(command), Machine(tmp_path, sandbox))


def test_every_rule_has_a_command() -> None:
    used = {rule_for(command) for command in README}
    assert used == set(RULES.values())


def test_commands_are_found_where_readers_find_them() -> None:
    block = "```console\n$ evolink-mcp http \\\n    --no-sse  # alone\nready\n$ new thing\n```\n"
    found = commands_in(f"Run `make demo` or `make`:\n\n{block}")
    assert [words_of(each) for each in found] == [
        ["evolink-mcp", "http", "--no-sse"],
        ["new", "thing"],
        ["make", "demo"],
    ]
    assert [rule_for(each) for each in found] == [None, None, target]


DOCUMENTED = [
    (path.name, command)
    for path in sorted((ROOT / "docs").glob("*.md"))
    for command in commands_in(path.read_text(encoding="utf-8"))
    if command.startswith("evolink-mcp ")
]


@pytest.mark.parametrize(("document", "command"), DOCUMENTED)
def test_a_command_of_the_documents_is_understood(document: str, command: str) -> None:
    """Not run: the documents also show what needs a key, a certificate or a team. No word of it is unknown."""
    words = words_of(command.split(" > ")[0])[1:]
    try:
        parser(words).parse_args(words)
    except SystemExit as ended:  # --help ends so, and so does a word that is unknown
        if ended.code:
            pytest.fail(f"{document}: {command}")
