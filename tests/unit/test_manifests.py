"""The manifests are what the code says, keep their formats, and hold no key."""

from __future__ import annotations

import base64
import json
import re
import shlex
import tomllib
import zipfile
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from jsonschema.validators import validator_for

from evolink_mcp import __version__, cli
from evolink_mcp.install.clients import BY_ID, CLIENTS
from evolink_mcp.install.entries import NAME, YOUR_KEY
from evolink_mcp.settings.table import VARIABLES
from manifests import bundle, catalogues, clients, facts, generate, readme
from tests.snapshots import PARAMETERS

DATA = Path(__file__).parents[1] / "data"
MADE = {path.relative_to(facts.ROOT).as_posix(): (path, text) for path, text in generate.files()}
VERSIONED = [name for name, (_, text) in MADE.items() if f'"version": "{__version__}"' in text]


def schema(name: str) -> Any:
    return json.loads((DATA / f"{name}.schema.json").read_text(encoding="utf-8"))


def problems(name: str, manifest: Any) -> list[str]:
    found = schema(name)
    validator = cast("Any", validator_for(found))(found)
    return [error.message for error in validator.iter_errors(manifest)]


@pytest.mark.parametrize("name", MADE)
def test_every_manifest_is_as_the_code_makes_it(name: str) -> None:
    path, text = MADE[name]
    assert path.read_text(encoding="utf-8") == text, "run `make manifests`"


def test_no_manifest_is_left_over_from_before() -> None:
    here = facts.ROOT / "manifests"
    kept = {"README.md"}
    folders = {Path(name).parts[1] for name in MADE if name.startswith("manifests/") and len(Path(name).parts) > 2}
    for path in (path for folder in folders for path in (here / folder).iterdir()):
        assert path.relative_to(facts.ROOT).as_posix() in MADE or path.name in kept, path


def test_the_version_is_in_every_manifest_that_has_one() -> None:
    assert sorted(VERSIONED) == [
        ".claude-plugin/marketplace.json",
        ".claude-plugin/plugin.json",
        "manifests/mcpb/manifest.json",
        "manifests/server.json",
    ]
    for name in MADE:
        written = re.findall(r'"version": "(.*)"', MADE[name][0].read_text(encoding="utf-8"))
        assert set(written) <= {__version__}, name


def test_the_bundles_manifest_keeps_its_makers_schema() -> None:
    manifest = catalogues.mcpb_manifest()
    assert problems("mcpb-manifest-v0.4", manifest) == []
    assert problems("mcpb-manifest-v0.4", {**manifest, "tool": []}) != []
    assert manifest["user_config"]["api_key"]["sensitive"] is True
    used = set(re.findall(r"\$\{user_config\.(\w+)\}", json.dumps(manifest["server"])))
    assert used == set(manifest["user_config"])
    assert [tool["name"] for tool in manifest["tools"]] == list(PARAMETERS)
    assert all(tool["description"].endswith(".") and "\n" not in tool["description"] for tool in manifest["tools"])


def test_the_registry_entry_keeps_what_the_registry_asks() -> None:
    entry = catalogues.server_json()
    assert problems("server", entry) == []
    assert problems("server", {**entry, "description": "x" * 101}) != []
    (package,) = entry["packages"]
    assert package["version"] == entry["version"] == __version__
    assert [each["name"] for each in package["environmentVariables"]] == [
        variable.name for variable in VARIABLES if not variable.remote_only
    ]
    assert [each["name"] for each in package["environmentVariables"] if each["isSecret"]] == ["EVOLINK_API_KEY"]
    page = (facts.ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"mcp-name: (\S+)", page) == [entry["name"]]
    for remote in entry["remotes"]:
        variables = {**remote["variables"], **remote["headers"][0]["variables"]}
        assert set(re.findall(r"\{(\w+)\}", remote["url"] + remote["headers"][0]["value"])) == set(variables)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_a_clients_file_can_be_read_and_holds_no_key(client: Any) -> None:
    (text,) = [text for name, (_, text) in MADE.items() if name.startswith(f"manifests/{client.id}/")]
    whole = tomllib.loads(text) if client.format == "toml" else json.loads(text)
    entry = whole[client.container][NAME]
    assert (entry["command"], entry["args"]) == ("uvx", ["evolink-mcp"])
    key = entry.get("env", {}).get("EVOLINK_API_KEY", "")
    assert key in ("", client.key_reference, YOUR_KEY)
    assert "sk-" not in text


def test_links_hold_the_entry_of_their_client() -> None:
    cursor = parse_qs(urlsplit(clients.cursor_link()).query)
    assert cursor["name"] == [NAME]
    assert json.loads(base64.b64decode(cursor["config"][0])) == clients.content(BY_ID["cursor"]).entry
    vscode = parse_qs(urlsplit(clients.vscode_link()).query)
    assert json.loads(vscode["config"][0]) == clients.content(BY_ID["vscode"]).entry
    assert [item["id"] for item in json.loads(vscode["inputs"][0])] == ["evolink-api-key"]
    assert "+" not in clients.vscode_link()


def test_a_readme_without_its_markers_is_noticed() -> None:
    with pytest.raises(ValueError, match="markers"):
        readme.filled("# evolink-mcp\n", {"clients": ""})


def test_every_paste_of_the_readme_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"`evolink-mcp (install [^`]* --write[^`]*)`", readme.clients())
    assert len(commands) == len(CLIENTS)
    for number, command in enumerate(commands):
        with pytest.raises(SystemExit) as raised:
            cli.main([*shlex.split(command), "--file", str(tmp_path / str(number))])
        assert raised.value.code == 0, command
    capsys.readouterr()


def test_the_skill_speaks_of_tools_that_exist() -> None:
    skill = (facts.ROOT / "evolink_mcp" / "skills" / "evolink-media" / "SKILL.md").read_text(encoding="utf-8")
    _, head, body = skill.split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    assert fields["name"] == "evolink-media"
    assert len(fields["description"]) <= 1024
    assert set(re.findall(r"\b(\w+)\(\w", body)) == {"check_task", "list_models"}
    called = re.findall(r"\b(\w+)\((\w+)=", body)
    assert called
    for tool, argument in called:
        assert argument in PARAMETERS[tool]
    named = set(re.findall(r"`(\w+_\w+)`", body)) - {"task_id", "saved_path", "file_url", "image_urls"}
    assert named - {"negative_prompt", "video_urls"} <= set(PARAMETERS)
    for rule in ("Never submit again", "24 hours", "72 hours", "Charged: unknown."):
        assert rule in body


def test_a_bundle_holds_what_starts_the_server_and_nothing_else(tmp_path: Path) -> None:
    first = bundle.pack(tmp_path)
    again = first.read_bytes()
    with zipfile.ZipFile(bundle.pack(tmp_path)) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
    assert first.read_bytes() == again
    assert first.name == f"evolink-mcp-{__version__}.mcpb"
    assert manifest["server"]["entry_point"] in names
    assert {name.split("/")[0] for name in names} == {"manifest.json", *bundle.BESIDE, "evolink_mcp"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert "evolink_mcp/registry/data/common.toml" in names
