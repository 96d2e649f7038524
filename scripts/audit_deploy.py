"""Run by scripts/audit in the environment of its linters: deploy/ against what Docker, Compose and Kubernetes allow.

hadolint and yamllint for style and known mistakes, the Compose Specification's own parser, and Kubernetes' schemas with
no unknown field allowed; promtool for the alert rules where it is installed (Debian: in the package prometheus).
Prints a line for each problem. Nothing here is built, started or applied.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import compose_spec
import kubernetes_validate
import yaml

DEPLOY = Path("deploy")
KUBERNETES = ("1.31", "1.37")  # an older one that is still in use, and the newest that is known here
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}")


def main() -> int:
    bin_ = Path(sys.executable).parent
    rules = [str(DEPLOY / "prometheus" / "alerts.yml")]
    problems = [
        *_says([str(bin_ / "hadolint"), str(DEPLOY / "Dockerfile")]),
        *_says([str(bin_ / "yamllint"), "--strict", "-f", "parsable", "-c", str(DEPLOY / ".yamllint.yml"), "deploy"]),
        *_compose(DEPLOY / "compose.yml"),
        *(problem for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for problem in _manifests(path)),
    ]
    promtool = shutil.which("promtool")
    if promtool:
        problems += _says([promtool, "check", "rules", *rules])
    print(f"promtool: {'rules checked' if promtool else 'not installed, rules not checked by it'}")
    for problem in problems:
        print(f"problem: {problem}")
    return 1 if problems else 0


def _says(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or [f"{command[0]} failed"]


def _compose(path: Path) -> Iterator[str]:
    """Variables get their defaults, or a word if they must be set: the parser takes a file as it would be run."""
    text = _VARIABLE.sub(lambda match: "1" if match[2] is None else match[2], path.read_text(encoding="utf-8"))
    try:
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load(text))).validate()
    except ValueError as error:
        yield f"{path}: {error}"


def _manifests(path: Path) -> Iterator[str]:
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if document["kind"] == "Kustomization":  # kustomize's own; it has no published schema
            continue
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{path}: {document['kind']} {document['metadata']['name']} for {version}: {error.message}"


if __name__ == "__main__":
    sys.exit(main())
