"""What ships for Compose beside the two replicas: tokens, sign-in with Keycloak, and Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
import yaml

from evolink_mcp.arguments import parser
from evolink_mcp.settings import read_settings
from evolink_mcp.settings.table import VARIABLES
from evolink_mcp.transports.http.oauth.provider import ALGORITHMS
from evolink_mcp.transports.http.options import HttpOptions
from tests.e2e.fleet import nginx_configuration, site_for
from tests.programs import free_port, program
from tests.unit.test_deploy import DEPLOY, REPOSITORY
from tests.unit.test_watching import PROMTOOL

FILLED = {
    "EVOLINK_MCP_HOST": "mcp.example.com",
    "EVOLINK_ID_HOST": "id.example.com",
    "EVOLINK_TLS": "./tls",
    "EVOLINK_API_KEY": "sk-0123456789abcdef",
    "EVOLINK_MCP_TOKENS": "alice:0123456789abcdefghij",
    "KEYCLOAK_ADMIN_PASSWORD": "of-the-administrator",
}
REALM: dict[str, Any] = json.loads((DEPLOY / "keycloak-realm.json").read_text(encoding="utf-8"))
POLICIES = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"


def compose(name: str) -> dict[str, Any]:
    """A Compose file with its variables filled in, as an operator fills them in."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"\$\{(\w+)[^}]*\}", lambda match: FILLED[match[1]], text))


@pytest.mark.parametrize(("name", "auth"), [("compose-tokens.yaml", "token"), ("compose-sign-in.yaml", "oauth")])
def test_what_is_put_on_top_of_the_compose_file_starts(name: str, auth: str) -> None:
    base, top = compose("compose.yaml"), compose(name)
    for service in ("mcp-1", "mcp-2"):
        replica = top["services"][service]
        assert set(replica["environment"]) <= {variable.name for variable in VARIABLES}
        parsed = parser(replica["command"]).parse_args(replica["command"])
        settings = read_settings({**base["services"][service]["environment"], **replica["environment"]})
        options = HttpOptions(
            host=parsed.host, auth=parsed.auth, allow_hosts=tuple(parsed.allow_host), public_url=parsed.public_url or ""
        )
        options.check(settings)
        assert options.auth == auth
        assert {"mcp-1", "mcp-2"} <= set(options.hosts), "Prometheus asks by these names"
    new = set(top["services"]) - set(base["services"])
    assert new == ({"keycloak"} if auth == "oauth" else set())


@pytest.mark.parametrize("name", ["compose.yaml", "compose-sign-in.yaml"])
def test_every_file_that_is_mounted_is_there(name: str) -> None:
    mounts = [each for service in compose(name)["services"].values() for each in service.get("volumes", [])]
    files = [
        each.split(":")[0] for each in mounts if each.startswith("./") and not each.startswith(FILLED["EVOLINK_TLS"])
    ]
    assert files
    assert all((DEPLOY / each).is_file() for each in files)


def test_a_token_of_the_realm_names_a_person_and_is_made_for_this_server() -> None:
    scopes = {scope["name"]: scope for scope in REALM["clientScopes"]}
    assert set(REALM["defaultDefaultClientScopes"]) == set(scopes), "a client that registers itself gets all of them"
    mappers = {each["protocolMapper"]: each["config"] for scope in scopes.values() for each in scope["protocolMappers"]}
    assert mappers["oidc-sub-mapper"]["access.token.claim"] == "true"
    audience = mappers["oidc-audience-mapper"]
    assert audience["included.custom.audience"] == f"https://{FILLED['EVOLINK_MCP_HOST']}/mcp"
    assert audience["access.token.claim"] == "true"
    assert mappers["oidc-group-membership-mapper"]["claim.name"] == "groups"
    replica = compose("compose-sign-in.yaml")["services"]["mcp-1"]
    assert replica["environment"]["EVOLINK_OAUTH_SCOPES"] == "media"
    assert scopes["media"]["attributes"]["include.in.token.scope"] == "true"
    assert REALM["defaultSignatureAlgorithm"] in ALGORITHMS


def test_clients_register_themselves_in_the_realm_for_their_own_addresses_alone() -> None:
    policies = {each["providerId"]: each for each in REALM["components"][POLICIES]}
    assert all(each["subType"] == "anonymous" for each in policies.values())
    hosts = policies["trusted-hosts"]["config"]
    assert hosts["client-uris-must-match"] == ["true"]
    assert hosts["host-sending-registration-request-must-match"] == ["false"], "clients are people's machines"
    table = (REPOSITORY / "docs" / "oauth.md").read_text(encoding="utf-8")
    redirects = set(re.findall(r"`[a-z]+://([^/`:]+)(?::\d+)?/[^`]*callback`", table))
    assert redirects
    assert redirects <= set(hosts["trusted-hosts"])
    assert "consent-required" in policies
    assert int(policies["max-clients"]["config"]["max-clients"][0]) <= 1000


def test_nobody_can_sign_in_with_what_is_in_the_realm_file() -> None:
    text = json.dumps(REALM)
    assert not {"users", "clients", "identityProviders"} & set(REALM)
    assert "secret" not in text
    assert "password" not in text.replace("resetPasswordAllowed", "")
    assert REALM["registrationAllowed"] is False


def test_nginx_takes_the_sites_with_tls(tmp_path: Path) -> None:
    nginx, port = program("nginx"), free_port()
    for name, blob in zip(("privkey", "fullchain"), _certificate(), strict=True):
        blob.write_to_path(tmp_path / f"{name}.pem")
    sites = site_for((free_port(), free_port()), free_port())
    tls = (DEPLOY / "nginx-tls.conf").read_text(encoding="utf-8")
    sites = sites.replace("include /etc/nginx/evolink-mcp/*.conf;", tls)
    sites += (DEPLOY / "nginx-keycloak.conf").read_text(encoding="utf-8").replace("keycloak:8080", "127.0.0.1:8080")
    sites = sites.replace("/etc/nginx/tls", str(tmp_path)).replace("listen 443", f"listen 127.0.0.1:{port}")
    configuration = nginx_configuration(tmp_path, sites)
    command = [nginx, "-e", "stderr", "-t", "-p", str(tmp_path), "-c", str(configuration)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert "warn" not in ended.stderr


def _certificate() -> tuple[trustme.Blob, trustme.Blob]:
    made = trustme.CA().issue_cert("mcp.example.com", "id.example.com")
    return made.private_key_pem, made.cert_chain_pems[0]


def test_what_is_passed_on_of_keycloak_is_what_signing_in_needs() -> None:
    site = re.sub(r"#.*", "", (DEPLOY / "nginx-keycloak.conf").read_text(encoding="utf-8"))
    passed = re.findall(r"location (\S+) \{\s+proxy_pass", site)
    assert passed == ["/realms/team/", "/.well-known/oauth-authorization-server/realms/team", "/resources/"]
    assert f"/realms/{REALM['realm']}/" in passed


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    text = (DEPLOY / "prometheus.yaml").read_text(encoding="utf-8")
    configuration = tmp_path / "prometheus.yaml"
    configuration.write_text(text.replace("/etc/prometheus", str(DEPLOY)), encoding="utf-8")
    command = [PROMTOOL or "", "check", "config", str(configuration)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    (job,) = cast("list[dict[str, Any]]", yaml.safe_load(text)["scrape_configs"])
    assert job["static_configs"] == [{"targets": ["mcp-1:8000", "mcp-2:8000"]}]
