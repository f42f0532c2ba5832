"""A home folder of the test's own, and a configuration that is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import KEY, Sandbox


@pytest.fixture(autouse=True)
def home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(own_home)
    return own_home


@pytest.fixture
def ready(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    """Everything set as it should be, on the sandbox."""
    (tmp_path / "work").mkdir()
    for name, value in {
        "EVOLINK_API_KEY": KEY,
        "EVOLINK_BASE_URL": sandbox.url,
        "EVOLINK_FILES_URL": sandbox.url + "/",
        "EVOLINK_OUTPUT_DIR": str(tmp_path / "out"),
        "EVOLINK_UPLOAD_DIRS": str(tmp_path / "work"),
    }.items():
        monkeypatch.setenv(name, value)
    return sandbox
