"""What ships for running it elsewhere agrees with the program."""

from __future__ import annotations

import re
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

import evolink_mcp
from evolink_mcp.arguments import parser
from evolink_mcp.settings import Settings
from evolink_mcp.settings.table import VARIABLES
from evolink_mcp.transports.http.oauth.resource import METADATA
from evolink_mcp.transports.http.options import HttpOptions
from evolink_mcp.transports.http.paths import CALLBACKS, COPIES, MCP, PROBES
from evolink_mcp.transports.http.uploads import UPLOAD
from tests.e2e.fleet import SITE, nginx_configuration, site_for
from tests.programs import free_port, program

REPOSITORY = Path(evolink_mcp.__file__).parents[1]
DEPLOY = REPOSITORY / "manifests" / "deploy"
BESIDE = (f"{UPLOAD}/", f"{COPIES}/", f"{CALLBACKS}/", METADATA)
IMAGE = f"evolink-mcp:{evolink_mcp.__version__}"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [each for each in documents("kubernetes.yaml") if each["kind"] == kind]


def container() -> dict[str, Any]:
    (deployment,) = of_kind("Deployment")
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return found


def served(arguments: list[str]) -> HttpOptions:
    """What the program makes of a manifest's arguments; raises where it would not start."""
    parse = parser(arguments)
    parsed = parse.parse_args(arguments)
    assert parsed.command == "http"
    options = HttpOptions(
        host=parsed.host, port=parsed.port, auth=parsed.auth, allow_hosts=tuple(parsed.allow_host), sse=parsed.sse
    )
    options.check(Settings())
    return options


def names(value: object) -> Iterator[str]:
    """All names and texts in a document."""
    if isinstance(value, dict):
        for name, each in cast("dict[str, object]", value).items():
            yield name
            yield from names(each)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from names(each)
    else:
        yield str(value)


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml"])
def test_manifests_name_this_version_and_only_variables_that_are_read(name: str) -> None:
    texts = [text for document in documents(name) for text in names(document)]
    images = {text for text in texts if re.search(r"(^|/)evolink-mcp:\S+$", text)}
    assert images
    assert {image.rpartition("/")[2] for image in images} == {IMAGE}
    assert {text for text in texts if re.fullmatch(r"EVOLINK_\w+", text)} <= {variable.name for variable in VARIABLES}


def test_the_deployment_starts_and_its_probes_lead_somewhere() -> None:
    found = container()
    options = served(found["args"])
    (port,) = found["ports"]
    assert port["containerPort"] == options.port
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert found[probe]["httpGet"]["path"] in PROBES
        assert found[probe]["httpGet"]["port"] == port["name"]
    assert found["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert found["livenessProbe"]["httpGet"]["path"] == "/health"


def test_the_deployment_may_do_little() -> None:
    (deployment,) = of_kind("Deployment")
    pod, found = deployment["spec"]["template"]["spec"], container()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert found["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all("secretKeyRef" in variable["valueFrom"] for variable in found["env"])
    user = re.search(r"^USER (\d+):", (REPOSITORY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert user
    assert pod["securityContext"]["runAsUser"] == int(user[1])


def test_a_read_only_container_has_a_place_for_what_is_looked_at() -> None:
    """Pictures of results and results handed on pass a file of no name; Python looks for its place in /tmp."""
    (deployment,) = of_kind("Deployment")
    volumes = {each["name"]: each for each in deployment["spec"]["template"]["spec"]["volumes"]}
    (mount,) = container()["volumeMounts"]
    assert mount["mountPath"] == "/tmp"
    assert volumes[mount["name"]]["emptyDir"]["sizeLimit"]
    (compose,) = documents("compose.yaml")
    for name in ("mcp-1", "mcp-2"):
        (place,) = compose["services"][name]["tmpfs"]
        assert place.startswith("/tmp:size=")


def test_a_pod_has_the_time_to_stop_in_order() -> None:
    (deployment,) = of_kind("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    sleep = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= sleep + HttpOptions().stop_seconds + 2


def test_everything_selects_the_same_pods() -> None:
    (deployment,) = of_kind("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (service,), (budget,), (policy,), (scaler,) = map(
        of_kind, ("Service", "PodDisruptionBudget", "NetworkPolicy", "HorizontalPodAutoscaler")
    )
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaler["spec"]["minReplicas"] > budget["spec"]["minAvailable"]


def test_the_ingresses_lead_to_the_endpoints_and_keep_sse_on_one_replica() -> None:
    paths = {
        path["path"]: ingress["metadata"]["annotations"]
        for ingress in of_kind("Ingress")
        for path in ingress["spec"]["rules"][0]["http"]["paths"]
    }
    assert set(paths) == {*MCP, *BESIDE}
    sticky = {path for path, notes in paths.items() if "nginx.ingress.kubernetes.io/upstream-hash-by" in notes}
    assert sticky == {"/sse", "/messages"}


def test_the_compose_file_starts_two_replicas_that_share_their_state() -> None:
    (compose,) = documents("compose.yaml")
    services = compose["services"]
    replicas = [services["mcp-1"], services["mcp-2"]]
    for replica in replicas:
        arguments = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", each) for each in replica["command"]]
        assert served(arguments).port == 8000
        assert replica["read_only"] is True
        assert replica["environment"]["EVOLINK_STATE_URL"] == "redis://state:6379/0"
        assert replica["build"]["args"]["VERSION"] == evolink_mcp.__version__
    assert "state" in services
    assert services["balancer"]["ports"] == ["127.0.0.1:8080:8080"]
    assert (REPOSITORY / "Dockerfile").exists()


def test_the_store_keeps_its_log_on_a_volume() -> None:
    (compose,) = documents("compose.yaml")
    state = compose["services"]["state"]
    (store,) = [each for each in documents("kubernetes-store.yaml") if each["kind"] == "StatefulSet"]
    (valkey,) = store["spec"]["template"]["spec"]["containers"]
    for command in (state["command"], valkey["args"]):
        assert command[command.index("--appendonly") + 1] == "yes"
        assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert state["image"] == valkey["image"]
    assert state["volumes"] == ["state:/data"]
    assert "state" in compose["volumes"]
    (claim,) = store["spec"]["volumeClaimTemplates"]
    assert valkey["volumeMounts"] == [{"name": claim["metadata"]["name"], "mountPath": "/data"}]


def test_the_store_of_the_cluster_is_reached_by_the_replicas_alone() -> None:
    store = {each["kind"]: each for each in documents("kubernetes-store.yaml")}
    labels = store["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert store["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
    assert store["Service"]["spec"]["selector"] == labels
    assert store["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    (deployment,) = of_kind("Deployment")
    ((rule,),) = [each["from"] for each in store["NetworkPolicy"]["spec"]["ingress"]]
    assert rule["podSelector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]


def test_the_site_knows_every_endpoint_and_never_repeats_what_was_sent() -> None:
    site = re.sub(r"#.*", "", SITE.read_text(encoding="utf-8"))
    locations = set(re.findall(r"location (?:= )?(\S+) \{", site))
    assert locations == {*MCP, *BESIDE, "/health", "/ready", "@too_large", "/"}
    assert "non_idempotent" not in site
    assert "proxy_buffering off;" in site
    assert site.count("hash $http_authorization$http_x_evolink_key consistent;") == 1


def test_nginx_takes_the_site(tmp_path: Path) -> None:
    nginx = program("nginx")
    configuration = nginx_configuration(tmp_path, site_for((free_port(), free_port()), free_port()))
    command = [nginx, "-e", "stderr", "-t", "-p", str(tmp_path), "-c", str(configuration)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert "warn" not in ended.stderr


def test_the_image_is_small_unprivileged_and_speaks_both_ways() -> None:
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    _, last = text.split("\nFROM ")[-2:]
    assert last.split()[0] == "${BASE}"
    (base,) = re.findall(r"^ARG BASE=(.*)$", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base)
    assert "\nUSER 10001:10001\n" in last
    assert 'ENTRYPOINT ["evolink-mcp"]\nCMD ["stdio"]' in last
    assert "ca-certificates" in last
    assert not re.search(r"gcc|build-essential|pip install", last)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    admitted = re.findall(r"^!(.+)$", (REPOSITORY / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(" ".join(copied).split()) == sorted(admitted)
    assert all((REPOSITORY / each).exists() for each in admitted)


def test_the_health_check_of_the_image_knows_what_it_checks() -> None:
    check = runpy.run_path(str(DEPLOY / "healthcheck.py"))
    port_of = check["port_of"]
    assert port_of(["/sbin/docker-init", "--", "evolink-mcp", "stdio", ""]) is None
    assert port_of(["python", "/opt/evolink/bin/evolink-mcp", "http", "--host=0.0.0.0", ""]) == HttpOptions().port
    assert port_of(["evolink-mcp", "http", "--port", "9000"]) == 9000
    assert port_of(["evolink-mcp", "http", "--port=9000"]) == 9000
    assert check["healthy"](free_port()) is False


def test_the_patch_for_sign_in_starts() -> None:
    (patch,) = documents("kubernetes-sign-in.yaml")
    (found,) = patch["spec"]["template"]["spec"]["containers"]
    parsed = parser(found["args"]).parse_args(found["args"])
    env = {each["name"]: each["value"] for each in found["env"]}
    assert set(env) <= {variable.name for variable in VARIABLES}
    assert env["EVOLINK_KEYS_FILE"].startswith(found["volumeMounts"][0]["mountPath"])
    options = HttpOptions(host=parsed.host, auth=parsed.auth, public_url=parsed.public_url)
    options.check(Settings(oauth_issuer=env["EVOLINK_OAUTH_ISSUER"], keys_file=Path(env["EVOLINK_KEYS_FILE"])))
