"""What a client left unfilled is never taken at its word; what names one's own folders is filled in."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from evolink_mcp.errors import SettingsError
from evolink_mcp.settings import read_settings
from evolink_mcp.settings.placeholders import fill_in, stand_in, unfilled
from evolink_mcp.settings.places import read_path

WHOLE = (
    "${EVOLINK_API_KEY}",
    "${user_config.api_key}",
    "${env:EVOLINK_API_KEY}",
    "${input:evolink-api-key}",
    "${X:-}",
    "$EVOLINK_API_KEY",
    "$(EVOLINK_API_KEY)",
    "$env:EVOLINK_API_KEY",
    "%EVOLINK_API_KEY%",
    "{{EVOLINK_API_KEY}}",
    "{{ secrets.key }}",
    "${{ secrets.EVOLINK_API_KEY }}",
    "@EVOLINK_API_KEY@",
    "__EVOLINK_API_KEY__",
    "{EVOLINK_API_KEY}",
    "op://vault/item/key",
    "op://My vault/EvoLink/api key",
    "vault://secret/data/evolink#key",
    "ref+awssecrets://evolink/key",
    "!secret evolink_api_key",
    "ENC[evolink_key]",
    "<your-key>",
    "your-key",
    "your key",
    "YOUR_API_KEY",
    "[key]",
    "sk-...",
    "sk-xxxxxxxx",
    "undefined",
    "null",
    "None",
)


@pytest.mark.parametrize("value", WHOLE)
def test_a_whole_value_that_was_left_unfilled_counts_as_not_set(value: str, tmp_path: Path) -> None:
    names = ("API_KEY", "BASE_URL", "SANDBOX", "IMAGE_MODEL", "TOOLSETS")
    names += ("OUTPUT_DIR", "UPLOAD_DIRS", "MODELS_FILE") if value != "None" else ()  # which says that none is meant
    settings = read_settings({f"EVOLINK_{name}": value for name in names}, cwd=tmp_path)
    assert settings == read_settings({}, cwd=tmp_path)
    assert len(settings.ignored) == len(names)
    for each in settings.ignored:
        assert each.unfilled
        assert each.reason.startswith(f"{each.name} holds {value!r}, ")


@pytest.mark.parametrize("value", WHOLE)
@pytest.mark.parametrize("quotes", ['""', "''", "“”"])
def test_quotation_marks_around_a_placeholder_fill_nothing_in(value: str, quotes: str) -> None:
    settings = read_settings({"EVOLINK_API_KEY": quotes[0] + value + quotes[1]})
    (ignored,) = settings.ignored
    assert ignored.unfilled


@pytest.mark.parametrize(
    "key",
    ["sk-${EVOLINK_API_KEY}", "sk-{{key}}", "Bearer ${{ secrets.KEY }}", "Bearer", "authorization: bearer"]
    + [
        f"{scheme} {value}"
        for scheme in ("Bearer", "Authorization: Bearer")
        for value in ("<your-key>", "your-api-key")
    ],
)
def test_a_key_that_only_stands_for_one_was_not_filled_in(key: str) -> None:
    (ignored,) = read_settings({"EVOLINK_API_KEY": key}).ignored
    assert ignored.unfilled


@pytest.mark.parametrize("value", ["${EVOLINK_BASE_URL}/v1", "${EVOLINK_BASE_URL}/", "{{url}}/api/v1/", "$URL/v1"])
def test_a_version_after_a_placeholder_is_no_address(value: str) -> None:
    settings = read_settings({f"EVOLINK_{name}_URL": value for name in ("BASE", "FILES", "TEXT")})
    assert settings == read_settings({})
    assert len(settings.ignored) == 3


@pytest.mark.parametrize(
    "value", ["${workspaceFolder}/out", "$PROJECT/out", "%PROJECT%\\out", "{{dir}}/out", "a/${env:X}/b", "$(X)/out"]
)
def test_a_folder_that_is_named_in_part_by_a_placeholder_is_not_set(value: str, tmp_path: Path) -> None:
    settings = read_settings({"EVOLINK_OUTPUT_DIR": value, "EVOLINK_UPLOAD_DIRS": value}, cwd=tmp_path)
    assert settings.output_dir is None
    assert settings.upload_dirs == (tmp_path,)
    assert unfilled(value) in settings.why_ignored("EVOLINK_OUTPUT_DIR")


def test_an_address_with_a_placeholder_in_it_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"EVOLINK_BASE_URL holds '\$\{HOST\}', which was not filled in"):
        read_settings({"EVOLINK_BASE_URL": "https://${HOST}/v1"})
    with pytest.raises(SettingsError, match="EVOLINK_STATE_URL"):
        read_settings({"EVOLINK_STATE_URL": "redis://:${PASSWORD}@a.test"})
    assert read_settings({"EVOLINK_STATE_URL": "redis://:pa$word@a.test"}).state_url


def test_variables_of_ones_own_user_are_filled_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for value in ("$HOME/p", "${HOME}/p", "%USERPROFILE%\\p", "~/p", "~\\p", "${userHome}${/}p", "${env:HOME}/p"):
        assert read_path(value, {}, windows=False) == tmp_path / "p", value
    assert fill_in("%APPDATA%/a-$USER", {"AppData": "/d", "USER": "me"}, None) == "/d/a-me"
    assert fill_in("$HOME/$PROJECT", {"PROJECT": "/x"}, None) == "$HOME/$PROJECT"


def test_a_folder_may_be_a_link_or_stand_in_quotes(tmp_path: Path) -> None:
    for value in (f'"{tmp_path}"', f"'{tmp_path}'", tmp_path.as_uri(), f"file://localhost{tmp_path}"):
        assert read_settings({"EVOLINK_OUTPUT_DIR": value}).output_dir == tmp_path, value
    folders = f"{tmp_path.as_uri()}:$HOME"
    assert read_settings({"EVOLINK_UPLOAD_DIRS": folders}).upload_dirs == (tmp_path, Path.home())
    assert "another machine" in read_settings({"EVOLINK_OUTPUT_DIR": "file://server/x"}).why_ignored(
        "EVOLINK_OUTPUT_DIR"
    )


@pytest.mark.parametrize("value", ["C:\\Users\\me\\Pictures", "c:/Users", "\\\\server\\share"])
def test_a_path_of_windows_is_a_folder_on_windows_alone(value: str) -> None:
    with pytest.raises(ValueError, match="Windows"):
        read_path(value, {}, windows=False)


@pytest.mark.parametrize("value", ['"/tmp/pictures', "/tmp/pictures'", "“/tmp/pictures”"])
def test_a_quotation_mark_is_not_made_part_of_a_folder(value: str) -> None:
    assert "quotation mark" in read_settings({"EVOLINK_OUTPUT_DIR": value}).why_ignored("EVOLINK_OUTPUT_DIR")


def test_a_folder_that_is_there_by_that_very_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a$b").mkdir()
    assert read_settings({"EVOLINK_OUTPUT_DIR": f"{tmp_path}/a$b"}).output_dir == tmp_path / "a$b"


@pytest.mark.parametrize(
    "key", ['"sk-aaaaaaaaaaaaaaaa"', "'sk-aaaaaaaaaaaaaaaa'", "`sk-aaaa`", "sk-aaaa,", "sk-aa aa", "schlüssel"]
)
def test_what_cannot_be_a_key_is_not_sent_as_one(key: str) -> None:
    settings = read_settings({"EVOLINK_API_KEY": key})
    assert settings.api_key is None
    reason = settings.why_ignored("EVOLINK_API_KEY")
    assert reason
    assert key not in reason


@pytest.mark.parametrize("value", ["sk-proj-nullable", "a$b", "100%", "x<y>z", "my-key", "nothing", "sk-none"])
def test_an_ordinary_value_stands_for_itself(value: str) -> None:
    assert stand_in(value) == ""
    assert read_settings({"EVOLINK_API_KEY": value}).api_key == value


@pytest.mark.parametrize("pasted", ["\ufeff{}", "{}\u200b", "\u2060 {}\r\n", "\u200e{}\u202c", "\u00a0{}\u3000"])
def test_marks_that_cannot_be_seen_are_no_part_of_a_value(pasted: str, tmp_path: Path) -> None:
    values = {
        "EVOLINK_API_KEY": "sk-aaaaaaaaaaaaaaaa",
        "EVOLINK_BASE_URL": "https://a.test",
        "EVOLINK_OUTPUT_DIR": f"{tmp_path}",
        "EVOLINK_IMAGE_MODEL": "gpt-image-2",
    }
    assert read_settings({name: pasted.format(value) for name, value in values.items()}) == read_settings(values)


def test_a_whole_line_of_an_env_file_is_read_for_its_value(tmp_path: Path) -> None:
    for name, value in (("EVOLINK_API_KEY", "sk-a=b"), ("EVOLINK_OUTPUT_DIR", f"{tmp_path}/a=b")):
        for line in (f"{name}={value}", f"export {name}={value}"):
            assert read_settings({name: line}) == read_settings({name: value}), line
    assert read_settings({"EVOLINK_OUTPUT_DIR": f'EVOLINK_OUTPUT_DIR="{tmp_path}"'}).output_dir == tmp_path


@pytest.mark.parametrize("written", ["Bearer {}", "bearer  {}", "Authorization: Bearer {}"])
def test_the_header_that_a_key_is_sent_in_is_no_part_of_it(written: str) -> None:
    assert read_settings({"EVOLINK_API_KEY": written.format("sk-aaaaaaaaaaaaaaaa")}).api_key == "sk-aaaaaaaaaaaaaaaa"


def test_a_key_that_holds_the_word_bearer_is_taken_as_it_is() -> None:
    assert read_settings({"EVOLINK_API_KEY": "sk-abcBearer xyz"}).api_key is None
    assert read_settings({"EVOLINK_API_KEY": "sk-Bearerxyz"}).api_key == "sk-Bearerxyz"


def test_ends_are_found_in_no_time_in_a_value_of_many_blanks() -> None:
    start = time.process_time()
    read_settings({"EVOLINK_IMAGE_MODEL": f"a{' ' * 40_000}b"})
    assert time.process_time() - start < 2


@pytest.mark.parametrize("value", ["false", "off", "No", "0", "disabled", "none", " OFF ", '"off"'])
def test_a_word_that_says_there_is_no_folder_makes_none_and_is_no_fault(value: str, tmp_path: Path) -> None:
    settings = read_settings({f"EVOLINK_{name}_DIR": value for name in ("OUTPUT", "KEEP")}, cwd=tmp_path, strict=True)
    assert settings == read_settings({}, cwd=tmp_path)
    assert settings.ignored == ()


@pytest.mark.parametrize("value", ["false", "off", "No", "0", "disabled", "none", "off:none", "off:${FOLDER}"])
def test_a_word_that_says_nothing_is_open_opens_nothing(value: str, tmp_path: Path) -> None:
    value = value.replace(":", os.pathsep)
    assert read_settings({"EVOLINK_UPLOAD_DIRS": value}, cwd=tmp_path).upload_dirs == ()
    saved = {"EVOLINK_UPLOAD_DIRS": value, "EVOLINK_OUTPUT_DIR": f"{tmp_path}/out"}
    assert read_settings(saved, cwd=tmp_path).upload_dirs == ()


def test_a_file_of_keys_cannot_be_switched_off(tmp_path: Path) -> None:
    assert read_settings({"EVOLINK_KEYS_FILE": "off"}, cwd=tmp_path).keys_file is not None


def test_a_space_may_be_written_as_in_a_shell(tmp_path: Path) -> None:
    assert read_path(f"{tmp_path}/my\\ films", {}, windows=False) == tmp_path / "my films"
    (tmp_path / "a\\ b").mkdir()
    assert read_path(f"{tmp_path}/a\\ b", {}, windows=False) == tmp_path / "a\\ b"
