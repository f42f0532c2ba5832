"""Programs beside Python: brought by the dev extra where it can, told in one line where they are missing."""

from __future__ import annotations

import subprocess

import pytest

from tests.programs import program


@pytest.mark.parametrize(("name", "version"), [("nginx", "-v"), ("valkey-server", "--version")])
def test_the_dev_extra_brings_the_servers_where_it_has_them(name: str, version: str) -> None:
    subprocess.run([program(name), version], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize(("ci", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_program_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome) as raised:
        program("no-such-server", "nor-this-one")
    assert str(raised.value).startswith("no-such-server or nor-this-one is not installed")
    assert "\n" not in str(raised.value)
