"""The deployment files say what the service needs, in flags that exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def flags():
    command = [sys.executable, "-c", "from codeenv.cli import main; raise SystemExit(main())", "serve", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    return set(re.findall(r"--[a-z][a-z-]+", text))


def test_every_flag_of_the_deployment_files_exists():
    pytest.importorskip("fastapi", reason="needs the extra [serve]")
    used = set()
    for name in ("Dockerfile", "kubernetes.yaml"):
        text = (DEPLOY / name).read_text()
        used |= set(re.findall(r'"(--[a-z][a-z-]+)"', text))
    assert used
    assert used <= flags()


def test_the_pod_has_no_privilege_and_room_to_drain():
    deployment, service, policy = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    context = container["securityContext"]
    assert (context["privileged"], context["allowPrivilegeEscalation"], context["runAsNonRoot"]) == (False, False, True)
    assert context["capabilities"] == {"drop": ["ALL"]}
    asleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > asleep + 60
    assert {container[f"{kind}Probe"]["timeoutSeconds"] for kind in ("startup", "liveness", "readiness")} == {5}
    assert pod["automountServiceAccountToken"] is False
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert policy["spec"]["egress"] == []


def test_compose_serves_loopback_and_asks_for_a_token():
    judge = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["judge"]
    assert judge["ports"] == ["127.0.0.1:8111:8111"]
    assert ":?" in judge["environment"]["CODEENV_TOKEN"]
    assert judge["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_the_manifest_has_the_fields_that_kubernetes_knows(version):
    validate = pytest.importorskip("kubernetes_validate", reason="runs in its own environment: tests/adapters/run.py deploy")
    rows = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    for row in rows:
        validate.validate(row, version, strict=True)
    rows[0]["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRoot"] = True
    with pytest.raises(validate.ValidationError, match="readOnlyRoot"):
        validate.validate(rows[0], version, strict=True)
