"""The file of keys: whose key pays for whom, read again when it changes, and never lost to a slip of a pen."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evolink_mcp.errors import SettingsError
from evolink_mcp.transports.http import keys
from evolink_mcp.transports.http.keys import Keys

FILM, ALICE, DOMAIN, ADMIN, REST = (f"sk-{name}-0123456789" for name in ("film", "alice", "domain", "admin", "rest"))
LINES = f"""\
"sub=alice" = "{ALICE}"
"groups=film" = "{FILM}"
"email=*@example.com" = "{DOMAIN}"
"realm_access.roles=admin" = "{ADMIN}"
"""
OPERATOR = "sk-operator-0123456789"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keys, "CHECK_SECONDS", 0.0)
    path = tmp_path / "keys.toml"
    path.write_text(LINES)
    return path


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass for the server, and none for the file."""
    ahead = 0.0

    def wait(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    moved = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead, time=lambda: time.time() + ahead)
    monkeypatch.setattr(keys, "time", moved)
    return wait


def change(file: Path, text: str) -> None:
    """Puts another file in its place, as a mounted secret is changed."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)


@pytest.mark.parametrize(
    ("claims", "key"),
    [
        ({"sub": "alice", "groups": ["film"]}, ALICE),  # the first line that fits
        ({"sub": "bob", "groups": ["sound", "film"]}, FILM),
        ({"sub": "bob", "email": "bob@example.com", "email_verified": True}, DOMAIN),
        ({"sub": "bob", "email": "bob@example.com"}, OPERATOR),  # nobody has verified it
        ({"sub": "bob", "email": "bob@example.com.evil.org", "email_verified": True}, OPERATOR),
        ({"sub": "bob", "realm_access": {"roles": ["admin"]}}, ADMIN),
        ({"sub": "Alice"}, OPERATOR),
        ({"sub": ["alice", {"x": 1}], "groups": {"film": True}}, ALICE),
        ({}, OPERATOR),
    ],
)
def test_the_first_line_that_fits_pays_and_else_the_operator(file: Path, claims: dict[str, Any], key: str) -> None:
    assert Keys(OPERATOR, file).key_for(claims) == key


def test_nobody_pays_for_whom_no_line_fits_where_the_operator_has_no_key(file: Path) -> None:
    assert Keys(None, file).key_for({"sub": "bob"}) is None
    change(file, f'{LINES}"*" = "{REST}"\n')
    assert Keys(None, file).key_for({"sub": "bob"}) == REST
    assert set(Keys(OPERATOR, file).all) == {ALICE, FILM, DOMAIN, ADMIN, REST, OPERATOR}


def test_a_byte_order_mark_is_no_part_of_the_file(file: Path) -> None:
    change(file, f"\ufeff{LINES}")
    assert Keys(OPERATOR, file).key_for({"sub": "alice"}) == ALICE


def test_a_changed_file_holds_from_the_next_call_on(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    read = Keys(OPERATOR, file)
    assert read.key_for({"sub": "alice"}) == ALICE
    change(file, f'"sub=alice" = "{REST}"\n')
    assert read.key_for({"sub": "alice"}) == REST
    assert read.key_for({"groups": "film"}) == OPERATOR
    assert [record.getMessage() for record in caplog.records] == ["EVOLINK_KEYS_FILE was read again: 1 keys"]


@pytest.mark.parametrize(
    "damage",
    [
        "not toml",
        '"alice" = "sk-x-0123456789"',
        '"sub=alice" = 5',
        '"sub=alice" = "two words"',
        "\x00",
        "#" * 1024**2 + "##",
    ],
)
def test_a_damaged_file_changes_nothing_and_is_told_of_once(
    file: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    read = Keys(OPERATOR, file)
    change(file, damage)
    for _ in range(5):
        assert read.key_for({"sub": "alice"}) == ALICE
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert "What it said before still counts." in line.getMessage()
    assert "0123456789" not in line.getMessage()
    change(file, f'"sub=alice" = "{REST}"\n')
    assert read.key_for({"sub": "alice"}) == REST


def test_a_file_that_is_gone_for_a_while_changes_nothing_and_is_told_of_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read = Keys(OPERATOR, file)
    file.unlink()
    for _ in range(5):
        assert read.key_for({"sub": "alice"}) == ALICE
    assert len(caplog.records) == 1
    change(file, LINES.replace(ALICE, REST))
    assert read.key_for({"sub": "alice"}) == REST


def test_a_file_that_is_written_in_place_is_not_believed_where_its_writer_may_have_been_held_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Keys(OPERATOR, file)
    first, rest = LINES.split("\n", 1)
    file.write_text(f"{first}\n")
    for _ in range(3):
        assert read.key_for({"groups": "film"}) == FILM
    file.write_text(f"{first}\n{rest}".replace(FILM, REST))
    assert [read.key_for({"groups": "film"}) for _ in range(3)][-1] == REST, "nobody is missing"
    file.write_text(f"{first}\n")
    monkeypatch.setattr(keys, "CUT_SECONDS", 0.0)
    assert [read.key_for({"groups": "film"}) for _ in range(3)][-1] == OPERATOR


def test_who_was_taken_out_in_place_while_nobody_called_is_gone_at_the_first_call(
    file: Path, pass_time: Callable[[float], None]
) -> None:
    read = Keys(OPERATOR, file)
    file.write_text(LINES.split("\n", 1)[1])
    pass_time(keys.CUT_SECONDS + 1)
    assert read.key_for({"sub": "alice"}) == OPERATOR


def test_who_was_taken_out_is_gone_in_time_also_where_the_same_is_written_again_and_again(
    file: Path, pass_time: Callable[[float], None]
) -> None:
    read = Keys(OPERATOR, file)
    for number in range(3):
        file.write_text(LINES.split("\n", 1)[1])
        os.utime(file, (now := time.time() + number * keys.CUT_SECONDS / 2, now))
        assert read.key_for({"sub": "alice"}) == (ALICE if number < 2 else OPERATOR)
        pass_time(keys.CUT_SECONDS / 2 + 0.1)


@pytest.mark.parametrize("between", [LINES, "not toml", None])
def test_a_file_that_was_cut_before_is_not_believed_sooner_when_it_is_cut_again(
    file: Path, pass_time: Callable[[float], None], between: str | None
) -> None:
    read = Keys(OPERATOR, file)
    cut = LINES.split("\n", 1)[0]
    for number, text in enumerate((cut, between, cut)):
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
            os.utime(file, (now := time.time() + number * keys.CUT_SECONDS, now))
        assert read.key_for({"groups": "film"}) == FILM
        pass_time(keys.CUT_SECONDS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_place_of_the_file_is_not_waited_for(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    read = Keys(OPERATOR, file)
    file.unlink()
    os.mkfifo(file)
    for _ in range(3):
        assert read.key_for({"sub": "alice"}) == ALICE
    assert "not a file" in caplog.text
    with pytest.raises(SettingsError, match="not a file"):
        Keys(OPERATOR, file)


def test_a_server_does_not_start_with_a_file_it_cannot_use(file: Path) -> None:
    change(file, f'"sub=alice" = "{ALICE}" "')
    with pytest.raises(SettingsError) as raised:
        Keys(OPERATOR, file)
    assert "EVOLINK_KEYS_FILE" in raised.value.problems[0]
    assert ALICE not in raised.value.problems[0]


def test_half_a_file_is_not_believed_while_it_is_being_written(file: Path) -> None:
    read = Keys(OPERATOR, file)
    ahead = file.stat().st_mtime_ns + 10**12  # written at a time that this clock has still to reach
    lines = LINES.replace(ALICE, REST).splitlines(keepends=True)
    for number, part in enumerate(("", lines[1], "".join(lines))):
        file.write_text(part)
        os.utime(file, ns=(ahead + number, ahead + number))
        assert read.key_for({"sub": "alice"}) == ALICE
    assert read.key_for({"sub": "alice"}) == REST


def test_an_empty_file_takes_nobodys_key_and_one_that_names_nobody_does(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read = Keys(OPERATOR, file)
    for empty in ("", "\n \n"):
        file.write_text(empty)
        assert read.key_for({"sub": "alice"}) == ALICE
    assert "empty" in caplog.text
    change(file, "# nobody\n")
    assert read.key_for({"sub": "alice"}) == OPERATOR


def test_an_address_fits_only_what_ascii_folds_to_it(file: Path) -> None:
    change(file, f'"email=kim@example.com" = "{ALICE}"\n"email=*@kim.example" = "{FILM}"\n')
    read = Keys(OPERATOR, file)

    def key_of(address: str) -> str | None:
        return read.key_for({"email": address, "email_verified": True})

    assert (key_of("KIM@Example.com"), key_of("any@KIM.example")) == (ALICE, FILM)
    assert {key_of("\N{KELVIN SIGN}im@example.com"), key_of("any@\N{KELVIN SIGN}im.example")} == {OPERATOR}


def test_the_largest_file_is_read_and_searched_in_no_time_that_others_notice(file: Path) -> None:
    line = '"sub=somebody-with-a-long-name-{:04}" = "sk-0123456789-{:04}"\n'
    change(file, "".join(line.format(number, number) for number in range(keys.MAX_BYTES // len(line.format(0, 0)))))
    start = time.process_time()
    assert Keys(OPERATOR, file).key_for({"sub": "nobody"}) == OPERATOR
    assert time.process_time() - start < 0.5
