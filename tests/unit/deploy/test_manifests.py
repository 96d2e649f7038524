"""What is in deploy/ fits the product: every process gets the settings it needs, and no secret of the other one.

The schemas and the linters are scripts/audit's; nothing here is built or applied.
"""

import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from issuer.commands.roles import own_environment
from issuer.settings import ApiSettings, DaemonSettings, StoreSettings, load

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text())
KUBERNETES = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
ROLES = {"api": ApiSettings, "daemon": DaemonSettings, "migrate": StoreSettings}
KEYS = {"decision": f"1:{secrets.token_hex(32)}", "data": f"1:{secrets.token_hex(32)}"}


def kind(name: str) -> list[dict[str, Any]]:
    return [document for document in KUBERNETES if document["kind"] == name]


def workload(role: str) -> dict[str, Any]:
    (found,) = [
        each
        for each in KUBERNETES
        if "template" in each.get("spec", {}) and each["metadata"]["name"] == f"claimwright-{role}"
    ]
    return found


def pod(role: str) -> dict[str, Any]:
    return workload(role)["spec"]["template"]["spec"]


def main_container(role: str) -> dict[str, Any]:
    (container,) = pod(role)["containers"]
    return container


def compose_environment(role: str) -> dict[str, str]:
    return {name: _interpolated(value) for name, value in COMPOSE["services"][role]["environment"].items()}


def kubernetes_environment(role: str) -> dict[str, str]:
    container = main_container(role)
    shared = (DEPLOY / "kubernetes" / "settings.env").read_text() if "envFrom" in container else ""
    settings = dict(line.split("=", 1) for line in shared.splitlines())
    return settings | {each["name"]: each["value"] for each in container["env"]}


def _interpolated(value: str) -> str:
    return re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)?\}", lambda m: "1" if m[1] is None else m[1], value)


def _secret_for(path: str) -> str:
    """A value that the setting read from this file could have."""
    name = Path(path).name
    for part, value in {**KEYS, "rpc": "https://node.invalid/key", "url": "postgresql://u:p@db/claimwright"}.items():
        if part in name:
            return value
    return secrets.token_hex(20)


@pytest.mark.parametrize("environment", [compose_environment, kubernetes_environment])
@pytest.mark.parametrize("role", ROLES)
def test_each_process_has_every_setting_it_needs_and_none_that_it_would_lose(environment, role, tmp_path) -> None:
    given = environment(role)
    settings = ROLES[role]
    if role != "migrate":
        own = own_environment(settings, given)
        assert given.keys() - own.keys() == set(), "these would be taken away before it starts"
    for name, path in list(given.items()):
        if name.endswith("_FILE") and path.startswith("/run/secrets/"):
            file = tmp_path / Path(path).name
            file.write_text(_secret_for(path))
            given[name] = str(file)
    assert load(settings, given)


@pytest.mark.parametrize("role", ROLES)
def test_compose_mounts_exactly_the_secrets_that_the_settings_name(role) -> None:
    service = COMPOSE["services"][role]
    named = {Path(value).name for value in service["environment"].values() if value.startswith("/run/secrets/")}
    assert named == set(service["secrets"])
    assert named <= COMPOSE["secrets"].keys()


def test_no_secret_is_given_to_two_processes() -> None:
    compose = [set(COMPOSE["services"][role]["secrets"]) for role in ROLES]
    assert sum(map(len, compose)) == len(set().union(*compose))
    mounted = {
        role: {volume["secret"]["secretName"] for volume in pod(role)["volumes"] if "secret" in volume}
        for role in ROLES
    }
    assert mounted == {
        "api": {"claimwright-api"},
        "daemon": {"claimwright-daemon", "claimwright-keystores"},
        "migrate": {"claimwright-owner"},
    }


def test_no_secret_stands_in_a_file() -> None:
    assert kind("Secret") == []
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix not in (".lock", ".json") and "secrets" not in path.parts:
            assert not re.search(r"[0-9a-f]{64}|assword: [^{]", path.read_text()), path


def _containers() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for role in ROLES:
        for container in [*pod(role)["containers"], *pod(role).get("initContainers", [])]:
            yield f"{role}/{container['name']}", container


@pytest.mark.parametrize(("name", "container"), [pytest.param(*each, id=each[0]) for each in _containers()])
def test_each_container_is_confined(name, container) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("role", ROLES)
def test_each_pod_runs_as_nobody_and_without_a_token(role) -> None:
    context = pod(role)["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == 10001
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(role)["automountServiceAccountToken"] is False
    assert pod(role)["serviceAccountName"] in {account["metadata"]["name"] for account in kind("ServiceAccount")}


@pytest.mark.parametrize("role", ["api", "daemon"])
def test_probes_ask_for_pages_that_exist_and_liveness_depends_on_nothing(role) -> None:
    container = main_container(role)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert {
        container[f"{probe}Probe"]["httpGet"]["port"] for probe in ("liveness", "startup", "readiness")
    } <= ports.keys()
    assert str(ports["private"]) == kubernetes_environment(role)[f"CLAIMWRIGHT_{role.upper()}_PRIVATE_PORT"]


def test_selectors_budgets_and_services_find_their_pods() -> None:
    for role in ("api", "daemon"):
        labels = workload(role)["spec"]["template"]["metadata"]["labels"]
        assert workload(role)["spec"]["selector"]["matchLabels"] == labels
        (budget,) = [each for each in kind("PodDisruptionBudget") if each["metadata"]["name"] == f"claimwright-{role}"]
        assert budget["spec"]["selector"]["matchLabels"] == labels
        assert budget["spec"]["minAvailable"] < workload(role)["spec"]["replicas"]
    (service,) = kind("Service")
    assert service["spec"]["selector"] == workload("api")["spec"]["template"]["metadata"]["labels"]


def test_nothing_but_monitoring_reaches_the_daemon_and_the_api_reaches_no_node() -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in kind("NetworkPolicy")}
    assert policies["deny-everything"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (ingress,) = policies["daemon"]["ingress"]
    assert [port["port"] for port in ingress["ports"]] == [9101]
    assert ingress["from"] == [{"namespaceSelector": {"matchLabels": {"claimwright.dev/monitoring": "true"}}}]
    assert not any("ipBlock" in peer for rule in policies["api"]["egress"] for peer in rule["to"])
    (egress,) = policies["api"]["egress"]
    assert egress["to"][0]["podSelector"]["matchLabels"] == {"claimwright.dev/egress": "provider"}
    assert COMPOSE["networks"]["data"]["internal"] is True
    networks = {role: set(COMPOSE["services"][role]["networks"]) for role in ("api", "daemon")}
    assert networks["api"] & networks["daemon"] == {"data"}
    assert "ports" not in COMPOSE["services"]["daemon"]


def test_kustomization_names_every_file() -> None:
    (kustomization,) = kind("Kustomization")
    files = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files
    assert {document["kind"] for document in KUBERNETES} >= {"Namespace", "Deployment", "Job", "NetworkPolicy"}


def test_the_image_is_made_from_locked_wheels_and_runs_as_nobody() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    build, final = text.split("FROM ${BASE}\n", 1)
    assert build.count("--require-hashes --only-binary :all:") == 2
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert not re.search(r"\b(apt|pip|gcc|curl)\b", final)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert all((ROOT / name).exists() for line in copied for name in line.split())


@pytest.mark.parametrize("name", ["run", "build"])
def test_the_image_has_the_versions_that_are_tested(name) -> None:
    tested = _pins((ROOT / "requirements.lock").read_text())
    pins = _pins((DEPLOY / f"{name}.lock").read_text())
    assert pins
    assert pins.items() <= tested.items()


def test_the_lock_of_the_image_has_everything_that_runs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["aws"]]
    names = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in wanted}  # type: ignore[index]
    assert names <= _pins((DEPLOY / "run.lock").read_text()).keys()


def _pins(lock: str) -> dict[str, str]:
    """A package's name > its version, marker and hashes."""
    entries = re.findall(r"^([\w.-]+)==((?:.*\\\n)*.*)$", lock, re.MULTILINE)
    return {name.lower(): " ".join(rest.split()) for name, rest in entries}
