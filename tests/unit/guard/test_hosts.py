"""Which hosts callers may name in links, and what is said of others."""

from __future__ import annotations

import pytest

from evolink_mcp.errors import Refused
from evolink_mcp.guard.urls import UrlGuard
from evolink_mcp.settings import Settings
from evolink_mcp.tools.app import App


def test_hosts_elsewhere_open_no_port_of_this_machine() -> None:
    app = App(Settings(base_url="http://127.0.0.1:8443", files_url="https://files.evolink.ai"), local_files=False)
    assert app.urls.check_spelling("http://127.0.0.1:8443/a", name="x", caller="alice")
    with pytest.raises(Refused, match="not EvoLink's"):
        app.urls.check_spelling("https://127.0.0.1/a", name="x", caller="alice")


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("stra\u00dfe.example", "read as two"),
        ("\u03c4\u03cc\u03c0\u03bf\u03c2.example", "read as two"),
        ("a..b", "not a host name"),
    ],
)
def test_a_host_that_cannot_be_used_is_told_why(host: str, problem: str) -> None:
    with pytest.raises(Refused) as refused:
        UrlGuard().check_spelling(f"https://{host}/a.png", name="x")
    assert problem in str(refused.value)
    assert ("xn--" in str(refused.value)) == (problem == "read as two")
