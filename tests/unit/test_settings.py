"""The environment is read once, and everything wrong with it is said at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evolink_mcp.errors import SettingsError
from evolink_mcp.settings import TOOLSETS, Settings, read_settings
from evolink_mcp.settings.table import BY_NAME, VARIABLES, help_text
from evolink_mcp.tools.app import App


def test_nothing_set_is_enough_to_start(tmp_path: Path) -> None:
    settings = read_settings({}, cwd=tmp_path)
    assert settings == Settings(upload_dirs=(tmp_path,))
    assert settings.api_key is None
    assert settings.base_url == "https://api.evolink.ai"
    assert settings.files_url == "https://files-api.evolink.ai"
    assert not settings.allow_loopback


WRONG = {
    "EVOLINK_BASE_URL": "http://example.com",
    "EVOLINK_FILES_URL": "ftp://127.0.0.1",
    "EVOLINK_SANDBOX": "perhaps",
    "EVOLINK_MCP_TOKENS": "short",
    "EVOLINK_UNLISTED_MODELS": "maybe",
    "EVOLINK_LOG_LEVEL": "loud",
    "EVOLINK_API_KEY": "two words",
}


def test_every_problem_is_named_in_one_error() -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(WRONG, strict=True)
    text = raised.value.render(paid=False)
    for name in WRONG:
        assert f"- {name} " in text
    assert "two words" not in text


def test_only_what_may_send_or_spend_more_than_was_meant_stops_the_start() -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(WRONG)
    assert [problem.split()[0] for problem in raised.value.problems] == list(WRONG)[:4]
    harmless = dict(list(WRONG.items())[4:])
    settings = read_settings(harmless)
    assert settings == read_settings({})
    assert {each.name for each in settings.ignored} == set(harmless)
    assert "DEBUG, INFO, WARNING" in settings.why_ignored("EVOLINK_LOG_LEVEL")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.evolink.ai",
        "https://user:secret@api.evolink.ai",
        "https://",
        "api.evolink.ai",
        "https://a.b/?x=1",
        "https://a.b:port",
        "http://127.0.0.1.example.com",
    ],
)
def test_a_gateway_must_be_https_or_on_this_machine(url: str) -> None:
    with pytest.raises(SettingsError, match="EVOLINK_BASE_URL"):
        read_settings({"EVOLINK_BASE_URL": url})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8787", "http://localhost:1", "http://[::1]:8787/", "http://127.9.9.9"]
)
def test_a_gateway_on_this_machine_opens_loopback_links(url: str) -> None:
    settings = read_settings({"EVOLINK_BASE_URL": url})
    assert settings.allow_loopback
    assert settings.base_url == url.rstrip("/")


@pytest.mark.parametrize("end", ["/", "/v1", "/v1/", "//", "/api/v1", "/V1", "/v1/images/generations", "/v1/tasks/"])
def test_a_gateways_version_is_not_part_of_its_base_url(end: str) -> None:
    assert read_settings({"EVOLINK_BASE_URL": f"https://a.test/b{end}"}).base_url == "https://a.test/b"


def test_paths_that_cannot_be_are_named_and_passed_over(tmp_path: Path) -> None:
    environ = {f"EVOLINK_{name}": "~nobody-here/x" for name in ("OUTPUT_DIR", "UPLOAD_DIRS", "MODELS_FILE")}
    settings = read_settings(environ, cwd=tmp_path)
    assert {each.name for each in settings.ignored} == set(environ)
    assert settings.upload_dirs == ()
    some = read_settings({"EVOLINK_UPLOAD_DIRS": f"~nobody-here/x{os.pathsep}{tmp_path}"})
    assert some.upload_dirs == (tmp_path,)
    assert some.ignored


@pytest.mark.parametrize("link", ["http://u:hunter2@127.0.0.1:9", "redis://:hunter2@h/x", "HTTPS://U:hunter2@[::1]:x/"])
def test_a_link_among_folders_opens_nothing_and_shows_no_password(link: str, tmp_path: Path) -> None:
    """Parted at its colons, it would be some folders, one of them named by the password."""
    settings = read_settings({"EVOLINK_UPLOAD_DIRS": f"{tmp_path}{os.pathsep}{link}"}, cwd=tmp_path)
    assert settings.upload_dirs == ()
    (ignored,) = settings.ignored
    assert "hunter2" not in str(ignored)


def test_a_working_directory_that_was_deleted_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert read_settings({}).upload_dirs == ()


def test_the_key_is_not_in_the_repr() -> None:
    assert "sk-secret" not in repr(read_settings({"EVOLINK_API_KEY": "sk-secret"}))


def test_uploads_come_from_the_working_and_the_output_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert read_settings({"EVOLINK_OUTPUT_DIR": str(out)}, cwd=tmp_path).upload_dirs == (tmp_path, out)


@pytest.mark.parametrize("folder", [Path("/"), Path.home()])
def test_the_root_and_the_home_folder_are_not_opened_by_default(folder: Path) -> None:
    assert read_settings({}, cwd=folder).upload_dirs == ()


def test_listed_folders_replace_the_default(tmp_path: Path) -> None:
    listed = os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b"), ""])
    settings = read_settings({"EVOLINK_UPLOAD_DIRS": listed}, cwd=tmp_path)
    assert settings.upload_dirs == (tmp_path / "a", tmp_path / "b")


def test_what_was_made_here_may_be_used_whatever_folders_are_listed(tmp_path: Path) -> None:
    out, listed = tmp_path / "out", str(tmp_path / "a")
    settings = read_settings({"EVOLINK_OUTPUT_DIR": str(out), "EVOLINK_UPLOAD_DIRS": listed}, cwd=tmp_path)
    assert settings.upload_dirs == (tmp_path / "a", out)
    for wide in (Path.home(), Path("/")):  # nobody meant to open all of it
        env = {"EVOLINK_OUTPUT_DIR": str(wide), "EVOLINK_UPLOAD_DIRS": listed}
        assert read_settings(env, cwd=tmp_path).upload_dirs == (tmp_path / "a",)


def test_switches_and_models_are_taken_as_set() -> None:
    settings = read_settings(
        {
            "EVOLINK_SANDBOX": "1",
            "EVOLINK_UNLISTED_MODELS": "allow",
            "EVOLINK_IMAGE_MODEL": "a",
            "EVOLINK_VIDEO_MODEL": "b",
            "EVOLINK_MODELS_FILE": "/x.toml",
        }
    )
    assert settings.sandbox
    assert settings.allow_unlisted_models
    assert (settings.image_model, settings.video_model, settings.models_file) == ("a", "b", Path("/x.toml"))


def test_whether_tasks_are_remembered_is_the_transports_choice_unless_the_operator_decides() -> None:
    said = {"": None, "on": True, "1": True, "YES": True, "true": True, "off": False, "0": False, "no": False}
    for value, expected in said.items():
        assert read_settings({"EVOLINK_HISTORY": value}).history is expected
    with pytest.raises(SettingsError, match="EVOLINK_HISTORY must be one of on, off;"):
        read_settings({"EVOLINK_HISTORY": "maybe"}, strict=True)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("LOG_LEVEL", ["debug", "Debug", "TRACE", "10"], "DEBUG"),
        ("LOG_LEVEL", ["warn", "WARN", "warning", "30", '"warn"'], "WARNING"),
        ("LOG_LEVEL", ["fatal", "off", "None"], "CRITICAL"),
        ("UNLISTED_MODELS", ["Allow", "yes", "ON", "true"], True),
        ("UNLISTED_MODELS", ["Refuse", "deny", "no", "0"], False),
        ("SANDBOX", ["1", "True", "YES", "enabled", "'on'"], True),
        ("RESULT_LINKS", ["On", "1"], True),
        ("STATE_STRICT", ["1", "true"], True),
        (
            "TOOLSETS",
            ["Media, TEXT", "text,media,", "image;texts", "video text", "media|text", "media+text"],
            ("media", "text"),
        ),
        ("TOOLSETS", ["*", "ALL"], TOOLSETS),
    ],
)
def test_values_are_read_in_any_case_and_by_common_synonyms(name: str, values: list[str], expected: object) -> None:
    variable = BY_NAME[f"EVOLINK_{name}"]
    for value in values:
        settings = read_settings({variable.name: value})
        assert (getattr(settings, variable.field), settings.ignored) == (expected, ()), value


def test_of_a_list_of_toolsets_the_known_ones_are_offered() -> None:
    settings = read_settings({"EVOLINK_TOOLSETS": "text,vidoe"})
    assert settings.toolsets == ("text",)
    assert "vidoe" in settings.why_ignored("EVOLINK_TOOLSETS")
    assert read_settings({"EVOLINK_TOOLSETS": "vidoe"}).toolsets == ("media",)


def test_quotation_marks_of_an_env_file_are_no_part_of_a_value() -> None:
    for quote in ('"', "'"):
        settings = read_settings(
            {
                "EVOLINK_STATE_URL": f"{quote}redis://a.test{quote}",
                "EVOLINK_MCP_TOKENS": f"{quote}alice:0123456789abcdef{quote}",
                "EVOLINK_BASE_URL": f"{quote}https://a.test{quote}",
            }
        )
        assert (settings.state_url, settings.base_url) == ("redis://a.test", "https://a.test")
        assert settings.mcp_tokens[0] == read_settings({"EVOLINK_MCP_TOKENS": "alice:0123456789abcdef"}).mcp_tokens[0]


@pytest.mark.parametrize(
    ("name", "value", "stops", "stops_strictly"),
    [
        ("EVOLINK_LOG_LEVEL", "loud", False, True),
        ("EVOLINK_LOG_LEVEL", "${LEVEL}", False, False),
        ("EVOLINK_SANDBOX", "perhaps", True, True),
        ("EVOLINK_SANDBOX", "${SANDBOX}", False, True),
        ("EVOLINK_BASE_URL", "https://${HOST}", True, True),
        ("EVOLINK_API_KEY", "${KEY}", False, False),
    ],
)
def test_an_operator_hears_of_every_wrong_value_and_a_client_only_of_dangerous_ones(
    name: str, value: str, stops: bool, stops_strictly: bool
) -> None:
    for strict, expected in ((False, stops), (True, stops_strictly)):
        if expected:
            with pytest.raises(SettingsError, match=name):
                read_settings({name: value}, strict=strict)
        else:
            assert read_settings({name: value}, strict=strict).why_ignored(name).startswith(name)


def test_what_each_variable_is_for_is_marked() -> None:
    def marked(attribute: str) -> set[str]:
        return {each.name.removeprefix("EVOLINK_") for each in VARIABLES if getattr(each, attribute)}

    assert marked("secret") == {"API_KEY", "MCP_TOKENS", "OAUTH_CLIENT", "STATE_URL"}
    sign_in = {"OAUTH_ISSUER", "OAUTH_AUDIENCE", "OAUTH_SCOPES", "OAUTH_ALLOW", "OAUTH_CLIENT", "OAUTH_NAME"}
    keep = {"KEEP_DIR", "KEEP_DAYS", "KEEP_GB", "KEEP_GB_EACH"}
    others = {"MCP_TOKENS", "KEYS_FILE", "STATE_URL", "STATE_STRICT", "CALLBACK_URL"}
    assert marked("remote_only") == {*sign_in, *keep, *others}
    assert marked("is_file") == {"OUTPUT_DIR", "MODELS_FILE", "KEYS_FILE", "KEEP_DIR"}
    assert marked("guards") >= {"BASE_URL", "FILES_URL", "TEXT_URL", "SANDBOX", "MCP_TOKENS", "STATE_URL"} | sign_in - {
        "OAUTH_NAME"
    }
    assert not marked("guards") & {"API_KEY", "OUTPUT_DIR", "LOG_LEVEL", "HISTORY", "TOOLSETS", "UNLISTED_MODELS"}


def test_help_has_the_meanings_in_one_column() -> None:
    first, *lines = help_text().splitlines()
    assert first.endswith(":")
    column = max(len(each.name) for each in VARIABLES) + 4
    for line in lines:
        assert len(line) <= 108
        assert line[column - 2 : column] == "  "
        assert line[column] != " "


def test_a_default_model_is_found_in_any_case() -> None:
    settings = read_settings({"EVOLINK_IMAGE_MODEL": "GPT-Image-2", "EVOLINK_VIDEO_MODEL": "My-Own"})
    app = App(settings)
    assert (app.default_model("image"), app.default_model("video")) == ("gpt-image-2", "My-Own")
