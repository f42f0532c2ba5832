"""The files beside the code say the same as the code: versions that are tried, versions that the image installs."""

from __future__ import annotations

import re
import tomllib
from typing import Any, cast

import pytest
import yaml
from packaging.requirements import Requirement

from manifests.facts import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(cast("tuple[str, str]", line.split("==")) for line in lines)


EXTRAS = PROJECT["optional-dependencies"]


@pytest.mark.parametrize("wanted", [*PROJECT["dependencies"], *EXTRAS["redis"], *EXTRAS["s3"]])
def test_the_image_installs_versions_within_the_declared_ranges(wanted: str) -> None:
    requirement = Requirement(wanted)
    assert requirement.specifier.contains(constraints()[requirement.name])


def test_constraints_are_exact_versions_without_addresses() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), "run `make constraints`"


def test_every_python_that_is_declared_is_tried_on_every_system() -> None:
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == declared
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    resolutions = {*matrix["resolution"], *(row["resolution"] for row in matrix["include"])}
    assert resolutions == {"highest", "lowest-direct"}
    assert declared[0] == PROJECT["requires-python"].removeprefix(">=")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_name_make_targets_and_files_that_exist(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"run: make ([a-z-]+)", text)) <= set(targets)
    for name in re.findall(r"(?:run: |hashFiles\(')(\.?[\w./-]+/[\w./-]+)", text):
        assert (ROOT / name).exists(), name
    assert "permissions:" in text
