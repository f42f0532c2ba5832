"""Addresses in settings: of the store, the gateway, the identity provider. They may hold passwords."""

from __future__ import annotations

import pytest

from evolink_mcp.errors import SettingsError
from evolink_mcp.settings import read_settings


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_shared_state_is_an_address_of_redis_or_valkey(scheme: str) -> None:
    url = f"{scheme}://:hunter2@state.example:6379/0"
    settings = read_settings({"EVOLINK_STATE_URL": url})
    assert settings.state_url == url
    assert "hunter2" not in repr(settings)
    assert read_settings({}).state_url is None


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@x",
        "redis://",
        "redis://:hunter2@x:port",
        "redis://:hunter2@x/name",
        "state.example:6379",
        "redis://x?password=hunter2&no_such_option=1",
        "valkey://x?password=hunter2&socket_timeout=soon",
        "rediss://:hunter2@x?ssl_cert_reqs=perhaps",
        "redis://:hunter2@x?encoding=none",
        "redis://:hunter2@x?retry=3",
    ],
)
def test_an_address_of_shared_state_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings({"EVOLINK_STATE_URL": url})
    assert "EVOLINK_STATE_URL" in raised.value.what
    assert "hunter2" not in raised.value.what


def test_options_that_the_stores_client_takes_are_left_to_it() -> None:
    url = "valkeys://state.example?ssl_cert_reqs=none&health_check_interval=5"
    assert read_settings({"EVOLINK_STATE_URL": url}).state_url == url


@pytest.mark.parametrize("name", ["EVOLINK_BASE_URL", "EVOLINK_OAUTH_ISSUER"])
@pytest.mark.parametrize(
    "url", ["https://me:hunter2@x", "https://me:a/hunter2@x", "https:/me:hunter2@x", "me:hunter2@x"]
)
def test_a_password_in_an_address_that_cannot_be_used_is_not_shown(name: str, url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings({name: url})
    assert name in raised.value.what
    assert "hunter2" not in raised.value.what


def test_shared_state_without_its_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", find_nothing)
    with pytest.raises(SettingsError, match=r"evolink-mcp\[redis\]"):
        read_settings({"EVOLINK_STATE_URL": "redis://x"})
    assert read_settings({}).state_url is None
