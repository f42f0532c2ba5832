"""Entries merged into files of every shape: nothing else is lost, nothing is done twice, the rest is refused."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolink_mcp.errors import Refused
from evolink_mcp.install import jsonc, merge, plan, tomltext
from evolink_mcp.install.clients import BY_ID, Client
from evolink_mcp.install.entries import NAME, Content
from evolink_mcp.install.launch import Launch
from tests.unit.install.files import FILES, REFUSED, WITH_OURS

LAUNCH = Launch("/opt/évo link/bin/evolink-mcp")
KEY = "sk-given-0123456789"


def read(client: Client, raw: bytes) -> dict[str, Any]:
    text = raw.removeprefix(b"\xef\xbb\xbf").decode()
    if client.format == "toml":
        return tomllib.loads(text)
    node = jsonc.parse(text)
    return cast("dict[str, Any]", node.value) if node else {}


def request(client: str, file: Path, **env: str) -> plan.Request:
    return plan.Request(BY_ID[client], env, file=file, launch=LAUNCH)


def without_ours(client: Client, value: dict[str, Any]) -> dict[str, Any]:
    servers = {name: entry for name, entry in value.get(client.container, {}).items() if name != NAME}
    rest = {name: part for name, part in value.items() if name != client.container}
    inputs = [item for item in rest.get("inputs", []) if item["id"] != "evolink-api-key"]
    return {**rest, "inputs": inputs, "servers": servers}


def survives(before: str, after: str) -> bool:
    """Whether everything that was there is still there, in its order."""
    rest: Iterator[str] = iter(after)
    return all(character in rest for character in before.strip())


@pytest.mark.parametrize("name", FILES)
def test_everything_else_in_a_file_stays(name: str, tmp_path: Path) -> None:
    client_id, raw = FILES[name]
    client = BY_ID[client_id]
    file = tmp_path / "there" / "config"
    if raw:
        file.parent.mkdir()
        file.write_bytes(raw)
    change, _ = plan.write_entry(request(client_id, file))
    after = file.read_bytes()

    assert change.changed
    assert without_ours(client, read(client, after)) == without_ours(client, read(client, raw))
    entry = read(client, after)[client.container][NAME]
    assert entry["command"] == LAUNCH.command
    assert survives(raw.decode(), after.decode())
    assert after.startswith(b"\xef\xbb\xbf") == raw.startswith(b"\xef\xbb\xbf")
    if raw:
        assert change.backup
        assert change.backup.read_bytes() == raw
    if b"\r\n" in raw:
        assert after.count(b"\r\n") == after.count(b"\n")
    elif b"\r" in raw:
        assert b"\n" not in after
    else:
        assert b"\r" not in after

    again, _ = plan.write_entry(request(client_id, file))
    assert not again.changed
    assert file.read_bytes() == after
    assert len(list(file.parent.iterdir())) == (2 if raw else 1)


@pytest.mark.parametrize("name", WITH_OURS)
def test_an_entry_of_ours_keeps_what_it_has_besides(name: str, tmp_path: Path) -> None:
    client_id, raw = WITH_OURS[name]
    client = BY_ID[client_id]
    file = tmp_path / "config"
    file.write_bytes(raw)
    _, notes = plan.write_entry(request(client_id, file))
    before, after = read(client, raw), read(client, file.read_bytes())
    assert without_ours(client, after) == without_ours(client, before)
    old, new = before[client.container][NAME], after[client.container][NAME]
    assert new == {**old, "command": LAUNCH.command, "args": []}
    assert new["env"]["EVOLINK_API_KEY"] == "sk-mine"
    assert "mine" in file.read_text(encoding="utf-8")
    assert not any("key" in note for note in notes)
    plan.write_entry(request(client_id, file, EVOLINK_API_KEY=KEY))
    assert read(client, file.read_bytes())[client.container][NAME]["env"] == {**old["env"], "EVOLINK_API_KEY": KEY}
    assert file.read_bytes().count(b"\r\n") in (0, file.read_bytes().count(b"\n"))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_changed_without_a_loss_is_left_alone(name: str, tmp_path: Path) -> None:
    client_id, raw, told = REFUSED[name]
    file = tmp_path / "config"
    file.write_bytes(raw)
    with pytest.raises(Refused, match=told) as raised:
        plan.write_entry(request(client_id, file))
    assert "by hand" in raised.value.next_step
    assert file.read_bytes() == raw
    assert list(tmp_path.iterdir()) == [file]


def test_a_text_that_would_take_minutes_to_edit_is_left_alone() -> None:
    tables = f'[projects."/a"]\n# {"x" * tomltext.MAX_CHARACTERS}\n'
    with pytest.raises(Refused, match="was left as it is: it has more than 1,000,000 characters") as raised:
        merge.merge(BY_ID["codex"], tables, Content("mcp_servers", {"command": "x"}))
    assert "by hand" in raised.value.next_step


def test_a_strict_clients_comments_are_kept_and_told(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text('{"mcpServers": {} /* mine */}', encoding="utf-8")
    _, notes = plan.write_entry(request("claude-desktop", file))
    assert any("may not read them" in note for note in notes)
    assert "/* mine */" in file.read_text(encoding="utf-8")


# Any JSON, with comments and commas where JSON with comments has them.

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
indents = st.sampled_from([None, 1, 2, 4, "\t"])
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # for a busy machine


@patient
@given(st.dictionaries(st.text(), values), st.dictionaries(st.text(), values), indents, st.booleans(), st.booleans())
def test_any_object_keeps_its_meaning(
    rest: dict[str, Any], servers: dict[str, Any], indent: str | int | None, crlf: bool, comments: bool
) -> None:
    servers.pop(NAME, None)
    before = {**rest, "mcpServers": servers}
    text = json.dumps(before, indent=indent)
    if comments and indent is not None:
        text = text.replace("\n", " // { ,\n/* } */")
    if crlf:
        text = text.replace("\n", "\r\n")
    entry = {"command": "a", "args": ["b"], "env": {"C": "d"}}
    after = merge.merge(BY_ID["cursor"], text, Content("mcpServers", entry)).text
    node = jsonc.parse(after)
    assert node
    assert node.value == {**rest, "mcpServers": {**servers, NAME: entry}}
    assert survives(text, after)
    assert merge.merge(BY_ID["cursor"], after, Content("mcpServers", entry)).text == after


@patient
@given(st.text(alphabet='{}[]",:/* \n1a\\'))
def test_a_text_is_read_or_refused_and_never_something_else(text: str) -> None:
    try:
        node = jsonc.parse(text)
    except jsonc.NotJson:
        assert jsonc.has_comments(text)  # which says as well that it is no JSON
        return
    if node is None or jsonc.has_comments(text):
        return
    assert node.value == json.loads(text)


# The file itself.


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    real.write_text('{"mcpServers": {}}', encoding="utf-8")
    link = tmp_path / "mcp.json"
    link.symlink_to(real)
    change, _ = plan.write_entry(request("cursor", link))
    assert link.is_symlink()
    assert NAME in real.read_text(encoding="utf-8")
    assert change.backup
    assert change.backup.parent == real.parent


def test_a_link_that_leads_nowhere_yet_makes_its_target(tmp_path: Path) -> None:
    link = tmp_path / "mcp.json"
    link.symlink_to(tmp_path / "new" / "mcp.json")
    plan.write_entry(request("cursor", link))
    assert NAME in (tmp_path / "new" / "mcp.json").read_text(encoding="utf-8")
    assert link.is_symlink()


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "mcp.json"
    link.symlink_to(link)
    with pytest.raises(Refused):
        plan.write_entry(request("cursor", link))


def test_a_read_only_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}", encoding="utf-8")
    file.chmod(0o444)
    with pytest.raises(Refused, match="read-only"):
        plan.write_entry(request("cursor", file))
    assert file.read_text(encoding="utf-8") == "{}"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        plan.write_entry(request("cursor", tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(Refused):
        plan.write_entry(request("cursor", tmp_path / "file" / "mcp.json"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_stay_and_a_new_file_is_the_owners_alone(tmp_path: Path) -> None:
    shared, new = tmp_path / "shared.json", tmp_path / "new.json"
    shared.write_text("{}", encoding="utf-8")
    shared.chmod(0o640)
    change, _ = plan.write_entry(request("cursor", shared))
    plan.write_entry(request("cursor", new))
    assert change.backup
    assert [path.stat().st_mode & 0o777 for path in (shared, change.backup, new)] == [0o640, 0o640, 0o600]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_written_by_root_stays_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}", encoding="utf-8")
    os.chown(file, 12345, 12345)
    change, _ = plan.write_entry(request("cursor", file))
    assert change.backup
    assert [path.stat().st_uid for path in (file, change.backup)] == [12345, 12345]


def test_a_file_that_changes_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}", encoding="utf-8")
    honest = merge.merge

    def slow(client: Client, text: str, content: Content) -> merge.Merged:
        merged = honest(client, text, content)
        file.write_text('{"theirs": 1}', encoding="utf-8")
        return merged

    monkeypatch.setattr(merge, "merge", slow)
    with pytest.raises(Refused, match="someone else"):
        plan.write_entry(request("cursor", file))
    assert file.read_text(encoding="utf-8") == '{"theirs": 1}'
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_every_write_keeps_its_own_copy(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}", encoding="utf-8")
    first, _ = plan.write_entry(request("cursor", file))
    second, _ = plan.write_entry(request("cursor", file, EVOLINK_API_KEY=KEY))
    assert first.backup
    assert second.backup
    assert first.backup.read_text(encoding="utf-8") == "{}"
    assert KEY not in second.backup.read_text(encoding="utf-8")
