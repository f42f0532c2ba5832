"""Python 3.14, by way of Pyodide, which npm has: every file compiles without a warning, every module imports.

What needs packages that are compiled for a machine cannot be loaded there. The workflow of the repository runs the
whole suite on Python 3.14.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import anyio

from manifests.facts import ROOT
from tests.interop import software

SCRIPT = Path(__file__).parent / "clients" / "python314.mjs"
COMPILED = re.compile(r"pydantic_core|httpx2_jsfetch|PIL|/av/|PyInit__core|cryptography|rpds|obstore")


def test_the_code_is_at_home_on_python_3_14() -> None:
    folder = software.package("pyodide")
    script = shutil.copy(SCRIPT, folder / SCRIPT.name)
    packages = Path(anyio.__file__).parents[1]
    command = [software.node(), script, ROOT, packages]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    outcome = json.loads(ran.stdout.splitlines()[-1])
    assert outcome["version"] == [3, 14]
    assert outcome["broken"] == {}
    assert len(outcome["imported"]) > 50
    assert {name: why for name, why in outcome["lacking"].items() if not COMPILED.search(why)} == {}
