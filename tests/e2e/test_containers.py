"""The containers, built and run: serve, train, and take the new bundle up without a restart.

Skipped where no container engine answers. The images are built from the base and the packages
that the engine's host can reach, so the first run takes some minutes.
"""

import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import QUICK_TRAINING, ROOT
from tests.e2e.gateway.programs import USER, dcmtk, require_peers
from tests.phantoms import chest_phantom, write_kaggle_folder
from tests.service.conftest import wait_until
from tests.shared.imaging.pictures import encode

PROJECT = "chest-xray-e2e"
EVERYTHING = ("--profile", "train", "--profile", "https", "--profile", "pacs")
Compose = Callable[..., str]

pytestmark = [pytest.mark.container, pytest.mark.slow]


def why_not() -> str | None:
    """Say what is missing to run containers, or None."""
    if not shutil.which("docker"):
        return "there is no docker on this machine"
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        if subprocess.run(command, capture_output=True, check=False, timeout=60).returncode:
            return f"`{' '.join(command)}` fails: no container engine answers"
    if not (ROOT / "models" / "default" / "model.json").exists():
        return "no bundle ships in models/default"
    return None


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """Runs `docker compose` on the project, in a project and with a volume of its own."""
    if reason := why_not():
        pytest.skip(reason)
    data = tmp_path_factory.mktemp("data") / "chest_xray"
    rng = np.random.default_rng(6)
    write_kaggle_folder(data, rng, train=(24, 24), val=(1, 1), test=(3, 3), size=96)
    for path in [data, *data.parents][:3]:
        path.chmod(0o755)  # the container's user is another one
    ports = ("PORT", "HTTP_PORT", "HTTPS_PORT", "PACS_DICOM_PORT", "PACS_HTTP_PORT")
    free = dict.fromkeys(ports, "0")
    environment = os.environ | free | {"DATA": str(data)}

    def run(*arguments: str, check: bool = True) -> str:
        result = subprocess.run(
            ["docker", "compose", "--project-name", PROJECT, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
        if check:
            assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        return result.stdout + result.stderr

    try:
        run(*EVERYTHING, "build")
        run("up", "--detach", "--wait", "--wait-timeout", "120")
        yield run
    finally:
        run(*EVERYTHING, "down", "--volumes", "--timeout", "10", check=False)


@pytest.fixture(scope="module")
def client(compose: Compose) -> Iterator[httpx.Client]:
    """Asks the service in its container."""
    address = compose("port", "service", "8000").strip()
    with httpx.Client(base_url=f"http://{address}", timeout=30, trust_env=False) as http:
        yield http


def predict(client: httpx.Client) -> httpx.Response:
    image = encode(chest_phantom(np.random.default_rng(8), True, (700, 900)), "JPEG")
    return client.post("/predict", files={"file": ("x.jpeg", image, "image/jpeg")})


def test_the_service_answers(client: httpx.Client) -> None:
    assert client.get("/readyz").status_code == 200
    answer = predict(client)
    # The bundled network was fitted on real X-rays, and may refuse one drawn in code.
    assert answer.status_code in {200, 422}, answer.text
    assert "probability" in answer.json() or "chest" in answer.json()["type"]


def inspect(compose: Compose, name: str) -> dict[str, Any]:
    container = compose("ps", "--quiet", name).strip()
    shown = subprocess.run(
        ["docker", "inspect", container], capture_output=True, text=True, check=True
    )
    return dict(json.loads(shown.stdout)[0])


def test_the_service_is_confined(compose: Compose, client: httpx.Client) -> None:
    state = inspect(compose, "service")
    assert state["Config"]["User"] == "10001:10001"
    assert state["HostConfig"]["ReadonlyRootfs"]
    assert state["HostConfig"]["CapDrop"] == ["ALL"]
    touch = "import pathlib; pathlib.Path('/models/x').touch()"
    assert "Read-only file system" in compose(
        "exec", "-T", "service", "python", "-c", touch, check=False
    )


def test_the_service_carries_no_tensorflow_and_no_pip(compose: Compose) -> None:
    look = (
        "import importlib.util as u; print([m for m in ('keras', 'tensorflow') if u.find_spec(m)])"
    )
    assert compose("exec", "-T", "service", "python", "-c", look).strip() == "[]"
    look = "import os; print(os.path.exists('/opt/venv/bin/pip'))"
    assert compose("exec", "-T", "service", "python", "-c", look).strip() == "False"


@pytest.fixture(scope="module")
def secure(compose: Compose, client: httpx.Client) -> Iterator[httpx.Client]:
    """Asks through the proxy of the profile `https`, and trusts the certificate that it made."""
    compose("--profile", "https", "up", "--detach", "--wait", "--wait-timeout", "120")
    made = compose("exec", "-T", "proxy", "cat", "/certs/self-signed.crt")
    trusting = ssl.create_default_context(cadata=made)
    port = compose("port", "proxy", "8443").rpartition(":")[2].strip()
    with httpx.Client(
        base_url=f"https://localhost:{port}", verify=trusting, timeout=30, trust_env=False
    ) as http:
        yield http


def test_the_proxy_answers_over_https(compose: Compose, secure: httpx.Client) -> None:
    assert predict(secure).status_code in {200, 422}
    assert secure.get("/").status_code == 200
    refused = secure.post("/predict", content=bytes(20_000_000))
    assert refused.status_code == 413
    assert refused.headers["content-type"] == "application/problem+json"
    plain = compose("port", "proxy", "8080").strip().replace("0.0.0.0", "127.0.0.1")
    moved = httpx.get(f"http://{plain}/x", trust_env=False)
    assert (moved.status_code, moved.headers["location"][:8]) == (308, "https://")


def test_the_proxy_is_confined(compose: Compose, secure: httpx.Client) -> None:
    state = inspect(compose, "proxy")
    assert state["Config"]["User"] == "10001:10001"
    assert state["HostConfig"]["ReadonlyRootfs"]
    assert state["HostConfig"]["CapDrop"] == ["ALL"]


def test_an_x_ray_sent_to_the_archive_gets_its_report_and_its_picture(
    compose: Compose, client: httpx.Client, xray_data: Path
) -> None:
    """A real one: the bundled network was fitted on such, and may refuse one drawn in code."""
    require_peers()
    compose("--profile", "pacs", "up", "--detach", "--wait", "--wait-timeout", "180")
    port = compose("port", "archive", "4242").rpartition(":")[2].strip()
    [image] = (xray_data / "dicom").glob("RSNA_*.dcm")
    send = [dcmtk("storescu"), "-xy", "-aec", "ORTHANC", "127.0.0.1", port, str(image)]
    subprocess.run(send, check=True, timeout=60)
    address = f"http://{compose('port', 'archive', '8042').strip()}"
    with httpx.Client(base_url=address, auth=USER, timeout=30, trust_env=False) as archive:

        def kinds() -> list[str]:
            series = archive.get("/series?expand").json()
            return sorted(one["MainDicomTags"]["Modality"] for one in series)

        wait_until(lambda: kinds() == ["CR", "OT", "SR"], 60)
        assert len(archive.get("/studies").json()) == 1


def test_an_archive_is_screened_in_shards_by_an_image_of_its_own(
    compose: Compose, tmp_path: Path
) -> None:
    """As deploy/kubernetes/jobs/archive does it, in a container that may write to /out alone."""
    images, out, tag = tmp_path / "in", tmp_path / "out", f"{PROJECT}-cluster"
    images.mkdir()
    out.mkdir()
    rng = np.random.default_rng(9)
    for number in range(12):
        image = encode(chest_phantom(rng, number % 2 == 0, (300, 360)), "JPEG")
        (images / f"{number}.jpeg").write_bytes(image)
    for path, mode in (
        (out, 0o777),
        (images, 0o755),
        *((one, 0o755) for one in tmp_path.parents[:2]),
    ):
        path.chmod(mode)  # the container's user is another one
    build = ["build", "--file", "Dockerfile.service", "--build-arg", "EXTRA=cluster", "--tag", tag]
    docker(*build, ".")
    run = ["run", "--rm", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp:size=16m"]
    mounts = ["--volume", f"{images}:/in:ro", "--volume", f"{out}:/out", tag]
    screen = ["python", "-m", "service", "screen", "/in", "--out", "/out/", "--part", "5"]
    for index in (0, 1):
        docker(*run, *mounts, *screen, "--shard", f"{index}/2")
    assert json.loads((out / "summary.json").read_text())["files"] == 12
    assert len([*out.glob("part-*.parquet")]) == 3


def docker(*arguments: str) -> None:
    """Runs the engine's own command."""
    done = subprocess.run(
        ["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_training_publishes_to_the_running_service(compose: Compose, client: httpx.Client) -> None:
    before = client.get("/model").json()["version"]
    compose(
        "run", "--rm", "trainer", "fit", "--data", "/data", "--models", "/models", *QUICK_TRAINING
    )
    deadline = time.monotonic() + 60
    while client.get("/model").json()["version"] == before:
        assert time.monotonic() < deadline, "the new bundle was not taken up"
        time.sleep(0.2)
    assert predict(client).status_code in {200, 422}


def test_missing_data_is_said_plainly(compose: Compose, tmp_path: Path) -> None:
    said = compose("run", "--rm", "trainer", "fit", "--data", "/data/none", check=False)
    assert "/data/none" in said
    assert "Traceback" not in said


def test_the_service_stops_in_good_order(compose: Compose) -> None:
    compose("stop", "service")
    assert inspect_exit(compose) == 0


def inspect_exit(compose: Compose) -> int:
    container = compose("ps", "--all", "--quiet", "service").strip()
    shown = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.ExitCode}}", container],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(shown.stdout)


def test_the_proxy_says_that_the_service_is_gone_and_finds_a_new_one(
    compose: Compose, secure: httpx.Client
) -> None:
    """A new container has another address."""
    compose("stop", "service")
    told = secure.get("/readyz")
    assert (told.status_code, told.headers["content-type"]) == (503, "application/problem+json")
    up = ("up", "--detach", "--wait", "--wait-timeout", "120", "--force-recreate", "service")
    compose(*up)
    deadline = time.monotonic() + 60
    while secure.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, "the proxy did not find the new container"
        time.sleep(0.2)
