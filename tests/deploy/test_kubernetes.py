"""The manifests of Kubernetes, rendered and checked; nothing here needs or shows a cluster."""

import os
import re
import shutil
import subprocess
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.app import create_app
from service.offline.archive.options import Shard
from service.offline.command import add_arguments
from service.settings import Settings
from tests.conftest import ROOT
from tests.deploy.manifests import Object, faults

FOLDER = ROOT / "deploy" / "kubernetes"
ROOTS = sorted(
    path.parent.relative_to(FOLDER).as_posix()
    for name in ("overlays", "jobs")
    for path in (FOLDER / name).glob("*/kustomization.yaml")
)
COMPONENTS = sorted(path.name for path in (FOLDER / "components").iterdir())
VERSIONS = ("1.30", "1.37")
"""The oldest and newest Kubernetes that the schemas are taken of."""
EXTENSIONS = {"monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1"}
"""Kinds that a cluster has where they were installed; their schemas are not at hand."""


def kubectl() -> str:
    """The program; skips where there is none, unless CI is set."""
    ours = ROOT / ".cache" / "kubectl"
    found = str(ours) if ours.exists() else shutil.which("kubectl")
    if found is None and not os.environ.get("CI"):
        pytest.skip("there is no kubectl on this machine; `make kubectl` fetches one")
    assert found, "run `make kubectl`"
    return found


@cache
def rendered(root: str) -> list[Object]:
    done = subprocess.run(
        [kubectl(), "kustomize", FOLDER / root],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "kustomize warns"
    return list(yaml.safe_load_all(done.stdout))


def settings() -> dict[str, float]:
    numbers = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        numbers[name] = float(default) if isinstance(default, int | float) else 0.0
    return numbers


@cache
def paths() -> frozenset[str]:
    return frozenset(create_app(Settings()).openapi()["paths"])


def check(objects: list[Object]) -> list[str]:
    return faults(objects, settings(), set(paths()))


def one(objects: list[Object], kind: str, name: str = "") -> Any:
    (found,) = (
        each for each in objects if each["kind"] == kind and name in {"", each["metadata"]["name"]}
    )
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("root", ROOTS)
def test_what_is_rendered_follows_the_schemas(root: str, version: str) -> None:
    for each in rendered(root):
        if each["apiVersion"] not in EXTENSIONS:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("root", ROOTS)
def test_what_is_rendered_fits_together(root: str) -> None:
    assert check(rendered(root)) == []


@pytest.mark.parametrize("root", ROOTS)
def test_everything_is_in_one_namespace(root: str) -> None:
    spaces = {
        each["metadata"].get("namespace") for each in rendered(root) if each["kind"] != "Namespace"
    }
    assert spaces == {"chest-xray"}


def test_every_component_is_rendered_by_an_overlay() -> None:
    used = {
        Path(component).name
        for path in (FOLDER / "overlays").glob("*/kustomization.yaml")
        for component in yaml.safe_load(path.read_text("utf-8")).get("components", [])
    }
    assert used == set(COMPONENTS)


def test_images_have_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    images = {
        container["image"].rpartition(":")[2]
        for root in ROOTS
        for each in rendered(root)
        if each["kind"] in {"Deployment", "Job"}
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert images == {project["version"]}


def test_production_asks_for_keys_and_lets_prometheus_in() -> None:
    objects = rendered("overlays/production")
    container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "XRAY_API_KEYS_FILE", "value": "/etc/xray/keys"} in container["env"]
    endpoint = one(objects, "PodMonitor")["spec"]["podMetricsEndpoints"][0]
    assert endpoint["authorization"]["credentials"]["key"] == "metrics"


def test_one_node_mounts_models_that_one_node_can() -> None:
    objects = rendered("overlays/one-node")
    assert one(objects, "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]
    trainer = one(rendered("jobs/trainer"), "Job")["spec"]["template"]["spec"]
    claims = [each.get("persistentVolumeClaim", {}) for each in trainer["volumes"]]
    assert {"claimName": "chest-xray-models"} in claims


Break = Callable[[list[Object]], Any]


def deployment(objects: list[Object]) -> Any:
    return one(objects, "Deployment")["spec"]


def pod(objects: list[Object]) -> Any:
    return deployment(objects)["template"]["spec"]


def container(objects: list[Object]) -> Any:
    return pod(objects)["containers"][0]


BROKEN: dict[str, Break] = {
    "memory: '256Mb' is no quantity": lambda o: container(o)["resources"]["limits"].update(
        memory="256Mb"
    ),
    "memory: '512m' is no quantity": lambda o: container(o)["resources"]["limits"].update(
        memory="512m"
    ),
    "cpu: '2 cores' is no quantity": lambda o: container(o)["resources"]["requests"].update(
        cpu="2 cores"
    ),
    "sizeLimit: '16MB' is no quantity": lambda o: pod(o)["volumes"][0]["emptyDir"].update(
        sizeLimit="16MB"
    ),
    "livenessProbe: the container has no port 'web'": lambda o: container(o)["livenessProbe"][
        "httpGet"
    ].update(port="web"),
    "readinessProbe: the service answers no /healthz": lambda o: container(o)["readinessProbe"][
        "httpGet"
    ].update(path="/healthz"),
    "the service listens on 8000": lambda o: container(o)["ports"][0].update(containerPort=80),
    "env XRAY_DRAIN: the service has no such setting": lambda o: container(o)["env"][0].update(
        name="XRAY_DRAIN"
    ),
    "stopping in good order takes 13 s": lambda o: pod(o).update(terminationGracePeriodSeconds=10),
    "without a version": lambda o: container(o).update(image="chest-xray-service:latest"),
    "volumes and mounts differ: temporary": lambda o: container(o)["volumeMounts"].pop(0),
    "may run as root": lambda o: pod(o)["securityContext"].pop("runAsNonRoot"),
    "no seccomp profile": lambda o: pod(o)["securityContext"].pop("seccompProfile"),
    "may do more than it needs": lambda o: container(o)["securityContext"].pop("capabilities"),
    "there is no Secret chest-xray": lambda o: pod(o)["volumes"][1]["secret"].update(
        secretName="chest-xray"
    ),
    "there is no Deployment service": lambda o: one(o, "HorizontalPodAutoscaler")["spec"][
        "scaleTargetRef"
    ].update(name="service"),
    "there is no Gateway gateway": lambda o: one(o, "HTTPRoute", "chest-xray")["spec"][
        "parentRefs"
    ][0].update(name="gateway"),
    "the gateway has no listener 'tls'": lambda o: one(o, "HTTPRoute", "chest-xray")["spec"][
        "parentRefs"
    ][0].update(sectionName="tls"),
    "the service chest-xray has no port 8000": lambda o: one(o, "HTTPRoute", "chest-xray")["spec"][
        "rules"
    ][0]["backendRefs"][0].update(port=8000),
    "Deployment chest-xray-service: the selector": lambda o: deployment(o)["template"][
        "metadata"
    ].update(labels={"app": "x"}),
    "topologySpreadConstraints: the selector": lambda o: pod(o)["topologySpreadConstraints"][0][
        "labelSelector"
    ].update(matchLabels={"app": "x"}),
    "Service chest-xray: the selector": lambda o: one(o, "Service")["spec"].update(
        selector={"app": "x"}
    ),
    "Service chest-xray: the pods have no port 'web'": lambda o: one(o, "Service")["spec"]["ports"][
        0
    ].update(targetPort="web"),
    "PodDisruptionBudget chest-xray-service: the selector": lambda o: one(o, "PodDisruptionBudget")[
        "spec"
    ]["selector"].update(matchLabels={"app": "x"}),
    "NetworkPolicy chest-xray-service: the selector": lambda o: one(o, "NetworkPolicy")["spec"][
        "podSelector"
    ].update(matchLabels={"app": "x"}),
    "NetworkPolicy chest-xray-service: the pods have no port": lambda o: one(o, "NetworkPolicy")[
        "spec"
    ]["ingress"][0]["ports"][0].update(port="web"),
    "PodMonitor chest-xray-service: the pods have no port": lambda o: one(o, "PodMonitor")["spec"][
        "podMetricsEndpoints"
    ][0].update(port="web"),
    "replicas would undo the scaling": lambda o: deployment(o).update(replicas=2),
    "must equal the limit": lambda o: container(o)["resources"]["requests"].update(cpu="1"),
    "two objects of one kind": lambda o: o.append(deepcopy(one(o, "Service"))),
}


@pytest.mark.parametrize("said", BROKEN)
def test_each_check_finds_what_it_is_for(said: str) -> None:
    objects = deepcopy(rendered("overlays/production"))
    BROKEN[said](objects)
    assert re.search(re.escape(said), "\n".join(check(objects)))


def shards(objects: list[Object]) -> Any:
    return one(objects, "Job")["spec"]


def screen(objects: list[Object]) -> Any:
    return shards(objects)["template"]["spec"]["containers"][0]


BROKEN_JOB: dict[str, Break] = {
    "the job has 9 completions": lambda o: shards(o).update(completions=9),
    "completionMode: without Indexed": lambda o: shards(o).pop("completionMode"),
    "no env JOB_COMPLETION_INDEX": lambda o: screen(o).update(env=[]),
    "there is no Secret storage": lambda o: screen(o)["envFrom"][0]["secretRef"].update(
        name="storage"
    ),
}


@pytest.mark.parametrize("said", BROKEN_JOB)
def test_each_check_of_a_job_finds_what_it_is_for(said: str) -> None:
    objects = deepcopy(rendered("jobs/archive"))
    BROKEN_JOB[said](objects)
    assert re.search(re.escape(said), "\n".join(check(objects)))


def test_the_archives_job_has_arguments_that_the_program_takes() -> None:
    container = screen(rendered("jobs/archive"))
    arguments = [each.replace("$(JOB_COMPLETION_INDEX)", "7") for each in container["args"]]
    assert container["command"] == ["python", "-m", "service", "screen"]
    parser = ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(arguments).shard == Shard(7, 8)


def test_the_schemas_find_what_they_are_for() -> None:
    deployment_object = deepcopy(one(rendered("overlays/production"), "Deployment"))
    deployment_object["spec"]["template"]["spec"]["containers"][0]["redinessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="redinessProbe"):
        kubernetes_validate.validate(deployment_object, VERSIONS[-1], strict=True)
