"""`evolink-mcp doctor` and the network that the environment describes: certificates and proxies."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trustme

from evolink_mcp.doctor.report import Check, Report
from evolink_mcp.doctor.surroundings import certificate_checks, proxy_checks
from evolink_mcp.gateway.certificates import certificate_problem
from tests.support import Sandbox
from tests.unit.doctor.runs import Run


@pytest.mark.parametrize("kind", ["missing", "empty", "no certificates", "a folder"])
def test_certificates_that_cannot_be_loaded_are_named_and_no_host_is_asked(
    kind: str, ready: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if kind == "a folder":
        file.mkdir()
    elif kind != "missing":
        file.write_text("" if kind == "empty" else "root:x:0:0\n", encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    run = Run(capsys)
    level, finding = run.only("certificates")
    assert level == "wrong"
    assert finding.startswith(f"SSL_CERT_FILE names {file}, ")
    assert run.found("host") == []
    assert ready.requests() == []


def test_certificates_that_can_be_loaded_are_told(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    (check,) = certificate_checks({"SSL_CERT_FILE": str(file)})
    assert (check.level, check.finding) == ("ok", f"those of SSL_CERT_FILE: {file}")
    assert "SSL_CERT_DIR" in certificate_problem({"SSL_CERT_DIR": str(tmp_path)})
    (tmp_path / "0a1b2c3d.0").write_bytes(file.read_bytes())
    assert certificate_problem({"SSL_CERT_DIR": str(tmp_path)}) == ""
    assert "SSL_CERT_DIR" in certificate_problem({"SSL_CERT_DIR": str(file)})
    (check,) = certificate_checks({"REQUESTS_CA_BUNDLE": str(file)})
    assert (check.level, check.finding) == ("ok", f"those of REQUESTS_CA_BUNDLE: {file}")
    (check,) = certificate_checks({"NODE_EXTRA_CA_CERTS": str(file)})
    assert (check.level, str(file) in check.next_step) == ("note", True)
    assert list(certificate_checks({"SSL_CERT_FILE": ""})) == []


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("http://proxy.test:3128", "ok"),
        ("proxy.test:3128", "ok"),
        ("ftp://proxy.test", "wrong"),
        ("http://", "wrong"),
        ("http://proxy.test:port", "wrong"),
        ("http://pro\txy.test:3128", "wrong"),
    ],
)
def test_proxies_are_judged_by_their_address(value: str, level: str) -> None:
    for name in ("HTTPS_PROXY", "all_proxy"):
        (check,) = proxy_checks({name: value})
        assert check.level == level
        assert check.finding.startswith(f"{name.upper()} is {value}")


def test_a_socks_proxy_says_which_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", missing)
    (check,) = proxy_checks({"ALL_PROXY": "socks5h://127.0.0.1:1080"})
    assert (check.level, "httpx2[socks]" in check.finding) == ("wrong", True)


@pytest.mark.parametrize(
    "login", ["//me:hunter2", "//me:x/hunter2", "//me:x#hunter2", "//me:x?hunter2", "//me:x\thunter2"]
)
@pytest.mark.parametrize("scheme", ["http:", ""])
def test_a_proxys_password_is_not_shown(login: str, scheme: str) -> None:
    proxy = f"{scheme}{login}@proxy.test:3128".removeprefix("//")
    env = {"HTTPS_PROXY": proxy, "NO_PROXY": "internal.test"}
    report = Report(list(proxy_checks(env)))
    assert "hunter2" not in report.as_json()
    assert "proxy.test:3128" in report.as_json()
    assert "internal.test" in report.as_json()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"runs C:\Users\a\evolink@1.2\x.exe", r"runs C:\Users\a\evolink@1.2\x.exe"),
        ("https://h/x?design=blue&author=me&assign=1", "https://h/x?design=blue&author=me&assign=1"),
        ("https://h/x?X-Amz-Signature=a;token=b&authorization=c", "https://h/x?X-Amz-Signature=***&authorization=***"),
        ("is https://me:p/a?s#s@proxy.test/x", "is https://***@proxy.test/x"),
        ("is me:p/a?s#s@proxy.test/x", "is ***@proxy.test/x"),
        ("runs git+https://h:8080/x@v1 C:/Users/a@b", "runs git+https://h:8080/x@v1 C:/Users/a@b"),
        ("uses me:p@ss@proxy.test:3128", "uses ***@proxy.test:3128"),
        ("is 'me:hunter2@proxy.test'", "is '***@proxy.test'"),
        ("https://me:hunter2@proxy.test/?sign=a#key=b", "https://***@proxy.test/?sign=***#key=***"),
    ],
)
def test_only_what_is_secret_in_a_finding_is_hidden(text: str, shown: str) -> None:
    assert Report([Check("x", "ok", text)]).checks[0].finding == shown


@pytest.mark.parametrize("part", ["a:", "'a:", "?key", "@a:"])
def test_a_long_finding_takes_no_long_look(part: str) -> None:
    start = time.thread_time()
    Report([Check("x", "ok", part * 20_000)])
    assert time.thread_time() - start < 3
