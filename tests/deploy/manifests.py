"""What is wrong with a set of Kubernetes objects, beyond what their schemas tell.

Most of it would be accepted by a cluster, and then do nothing, or wait for ever.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

Object = dict[str, Any]

WORKLOADS: Final = ("Deployment", "Job")
FROM_ELSEWHERE: Final = {
    ("Secret", "chest-xray-keys"),
    ("Secret", "chest-xray-storage"),
    ("Secret", "chest-xray-tls"),
    ("PersistentVolumeClaim", "chest-xray-data"),
    ("PersistentVolumeClaim", "chest-xray-models"),  # of an overlay, for the jobs
}
"""What the operator provides, as the comments of the manifests say."""

_CPU: Final = re.compile(r"\d+(\.\d+)?|\d+m")
_BYTES: Final = re.compile(r"\d+(Ki|Mi|Gi|Ti)")
_INDEX: Final = "JOB_COMPLETION_INDEX"
"""Which pod of an Indexed Job it is; no setting, but an argument's part."""
_DRAIN: Final = "XRAY_DRAIN_SECONDS"
_GRACE: Final = "XRAY_GRACE_SECONDS"


def faults(objects: list[Object], settings: dict[str, float], paths: set[str]) -> list[str]:
    """Says what is wrong.

    Args:
        objects: All that is applied together.
        settings: The names of the service's settings, with the default of each that is a number.
        paths: The addresses that the service answers.
    """
    named = {(one["kind"], one["metadata"]["name"]) for one in objects}
    found = []
    if len(named) < len(objects):
        found.append("two objects of one kind have the same name")
    for one in objects:
        checks = [*_references(one, named), *_selectors(one, objects), *_autoscaling(one, objects)]
        if one["kind"] in WORKLOADS:
            pod = _pod(one)
            checks += [*_containers(pod, settings, paths), *_volumes(pod), *_confinement(pod)]
            checks += [*_shards(one["spec"], pod)]
        checks += [*_quantities(one)]
        found += [f"{one['kind']} {one['metadata']['name']}: {check}" for check in checks]
    return found


def _pod(workload: Object) -> Object:
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def _labels(workload: Object) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"].get("metadata", {}).get("labels", {})
    return labels


def _ports(container: Object) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container.get("ports", [])}


def _quantities(one: Object) -> Iterator[str]:
    """Sizes with a unit that exists and is meant: 256Mb is none, and 512m are half a byte."""
    pending: list[Any] = [one]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        if not isinstance(value, dict):
            continue
        pending += value.values()
        for name, size in value.items():
            if name == "cpu" and isinstance(size, str | int) and not _CPU.fullmatch(str(size)):
                yield f"cpu: {size!r} is no quantity; write 500m or 2"
            of_bytes = name in {"memory", "storage", "sizeLimit"} and not isinstance(size, dict)
            if of_bytes and not _BYTES.fullmatch(str(size)):
                yield f"{name}: {size!r} is no quantity; write 256Mi or 5Gi"


def _containers(pod: Object, settings: dict[str, float], paths: set[str]) -> Iterator[str]:
    for container in pod["containers"]:
        if not re.fullmatch(r"[^:@]+(:\d+)?[^:@]*:\d+\.\d+\.\d+", container["image"]):
            yield f"image {container['image']}: without a version, nobody knows what runs"
        ports = _ports(container)
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container.get(kind, {}).get("httpGet")
            if probe and probe["port"] not in ports and probe["port"] not in ports.values():
                yield f"{kind}: the container has no port {probe['port']!r}"
            if probe and probe["path"] not in paths:
                yield f"{kind}: the service answers no {probe['path']}"
        if "port" in settings and ports.get("http", settings["port"]) != settings["port"]:
            yield f"port http: the service listens on {settings['port']:.0f}"
        environment = {one["name"]: one.get("value") for one in container.get("env", [])}
        for name in environment.keys() - {_INDEX}:
            if name.removeprefix("XRAY_").lower() not in settings:
                yield f"env {name}: the service has no such setting"
        if _DRAIN in environment:
            grace = float(environment.get(_GRACE) or settings["grace_seconds"])
            needed = float(environment[_DRAIN] or 0) + grace
            if pod.get("terminationGracePeriodSeconds", 30) <= needed:
                yield f"terminationGracePeriodSeconds: stopping in good order takes {needed:.0f} s"


def _shards(spec: Object, pod: Object) -> Iterator[str]:
    """Every shard has a pod, and every pod a shard."""
    for container in pod["containers"]:
        arguments = container.get("args", [])
        if "--shard" not in arguments:
            continue
        if spec.get("completionMode") != "Indexed":
            yield "completionMode: without Indexed, every pod would be the same shard"
        shard = arguments[arguments.index("--shard") + 1]
        if shard != f"$({_INDEX})/{spec.get('completions')}":
            yield f"--shard {shard}: the job has {spec.get('completions')} completions"
        if not any(one["name"] == _INDEX for one in container.get("env", [])):
            yield f"--shard {shard}: no env {_INDEX}"


def _volumes(pod: Object) -> Iterator[str]:
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    mounted = {mount["name"] for one in pod["containers"] for mount in one.get("volumeMounts", [])}
    if volumes != mounted:
        yield f"volumes and mounts differ: {', '.join(sorted(volumes ^ mounted))}"


def _confinement(pod: Object) -> Iterator[str]:
    """The Pod Security Standard `restricted`, and a root file system that is only read."""
    of_pod = pod.get("securityContext", {})
    if not of_pod.get("runAsNonRoot"):
        yield "securityContext: may run as root"
    if of_pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "securityContext: no seccomp profile"
    for container in pod["containers"]:
        context = container.get("securityContext", {})
        if (
            context.get("allowPrivilegeEscalation") is not False
            or context.get("capabilities", {}).get("drop") != ["ALL"]
            or not context.get("readOnlyRootFilesystem")
        ):
            yield f"container {container['name']}: may do more than it needs"


def _references(one: Object, named: set[tuple[str, str]]) -> Iterator[str]:
    """What is named must be there, or be provided from elsewhere."""
    for kind, name in _referred(one):
        if (kind, name) not in named | FROM_ELSEWHERE:
            yield f"there is no {kind} {name}"


def _referred(one: Object) -> Iterator[tuple[str, str]]:
    spec = one.get("spec", {})
    if one["kind"] in WORKLOADS:
        for volume in _pod(one).get("volumes", []):
            if "persistentVolumeClaim" in volume:
                yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
            if "secret" in volume:
                yield "Secret", volume["secret"]["secretName"]
        for container in _pod(one)["containers"]:
            for source in container.get("envFrom", []):
                yield "Secret", source["secretRef"]["name"]
    if one["kind"] == "HorizontalPodAutoscaler":
        yield spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]
    if one["kind"] == "Gateway":
        for listener in spec["listeners"]:
            for certificate in listener.get("tls", {}).get("certificateRefs", []):
                yield "Secret", certificate["name"]
    if one["kind"] == "HTTPRoute":
        yield from (("Gateway", parent["name"]) for parent in spec["parentRefs"])
        for rule in spec["rules"]:
            yield from (("Service", backend["name"]) for backend in rule.get("backendRefs", []))
    if one["kind"] == "PodMonitor":
        for endpoint in spec["podMetricsEndpoints"]:
            if "authorization" in endpoint:
                yield "Secret", endpoint["authorization"]["credentials"]["name"]


def _selectors(one: Object, objects: list[Object]) -> Iterator[str]:
    """A selector that selects nothing is no error to a cluster."""
    spec = one.get("spec", {})
    workloads = [other for other in objects if other["kind"] in WORKLOADS]
    if one["kind"] == "Deployment":
        workloads = [one]
        for constraint in _pod(one).get("topologySpreadConstraints", []):
            if not _matches(constraint["labelSelector"]["matchLabels"], one):
                yield "topologySpreadConstraints: the selector misses its own pods"
    selector = {
        "Deployment": lambda: spec["selector"]["matchLabels"],
        "Service": lambda: spec["selector"],
        "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
        "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
        "PodMonitor": lambda: spec["selector"]["matchLabels"],
    }.get(one["kind"])
    if selector is None:
        yield from _listeners(one, objects)
        return
    selected = [other for other in workloads if _matches(selector(), other)]
    if not selected:
        yield f"the selector {selector()} matches no pod"
    ports = {
        port: number
        for other in selected
        for container in _pod(other)["containers"]
        for port, number in _ports(container).items()
    }
    for port in _ports_meant(one):
        if selected and port not in ports and port not in ports.values():
            yield f"the pods have no port {port!r}"


def _matches(selector: dict[str, str], workload: Object) -> bool:
    return bool(selector) and selector.items() <= _labels(workload).items()


def _ports_meant(one: Object) -> list[Any]:
    spec = one["spec"]
    if one["kind"] == "Service":
        return [port.get("targetPort", port["port"]) for port in spec["ports"]]
    if one["kind"] == "NetworkPolicy":
        return [port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])]
    if one["kind"] == "PodMonitor":
        return [endpoint["port"] for endpoint in spec["podMetricsEndpoints"]]
    return []


def _listeners(one: Object, objects: list[Object]) -> Iterator[str]:
    """A route's listeners and the ports of its services."""
    if one["kind"] != "HTTPRoute":
        return
    names = {
        listener["name"]
        for other in objects
        if other["kind"] == "Gateway"
        for listener in other["spec"]["listeners"]
    }
    for parent in one["spec"]["parentRefs"]:
        if parent.get("sectionName") not in names:
            yield f"the gateway has no listener {parent.get('sectionName')!r}"
    offered = {
        (other["metadata"]["name"], port["port"])
        for other in objects
        if other["kind"] == "Service"
        for port in other["spec"]["ports"]
    }
    for rule in one["spec"]["rules"]:
        for backend in rule.get("backendRefs", []):
            if (backend["name"], backend["port"]) not in offered:
                yield f"the service {backend['name']} has no port {backend['port']}"


def _autoscaling(one: Object, objects: list[Object]) -> Iterator[str]:
    """Where the number of pods is scaled, nothing else says it, and a share means what it says."""
    if one["kind"] != "HorizontalPodAutoscaler":
        return
    target = one["spec"]["scaleTargetRef"]["name"]
    for other in objects:
        if (other["kind"], other["metadata"]["name"]) != ("Deployment", target):
            continue
        if "replicas" in other["spec"]:
            yield "the deployment's replicas would undo the scaling whenever it is applied"
        for container in _pod(other)["containers"]:
            resources = container.get("resources", {})
            request = resources.get("requests", {}).get("cpu")
            if request is None or request != resources.get("limits", {}).get("cpu"):
                yield "cpu: the share is of the request, which must equal the limit"
