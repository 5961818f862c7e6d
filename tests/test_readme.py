"""The documentation holds: its commands run, and no setting or kind of problem is left out."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from service.problems import PROBLEMS
from service.settings import PREFIX, Settings
from shared.imaging.dicom.headers import Flag
from tests.conftest import QUICK_TRAINING, ROOT
from tests.phantoms import chest_phantom, write_kaggle_folder

README = ROOT / "README.md"
PAGES = [page for page in (README, *sorted((ROOT / "docs").rglob("*.md"))) if page.exists()]

# Run elsewhere (this very test, containers), or needing what a test must not: a network, minutes.
NOT_RUN = re.compile(
    r"(?:\w+=\S+ +)*(?:"
    r"make (?:serve|download|test|check|bench|screenshots|constraints|clean|format)\b"
    r"|\.ci/run|git\b|cd\b"
    r"|docker\b|kubectl\b|gcloud\b|az\b|aws\b|fly\b|\S*pip3? "
    r"|\S*python3? -m (?:venv|pip|service *$|trainer download|benchmarks))"
)


def commands() -> list[str]:
    """The commands of the README's blocks of bash, one each, continuation lines joined."""
    if not README.exists():
        return []
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def bundled() -> bool:
    return (ROOT / "models" / "default" / "model.json").exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a checkout, with an environment, data and pictures, to run commands in."""
    path = tmp_path_factory.mktemp("checkout")
    for item in ROOT.iterdir():
        if item.name not in {".git", ".venv", "models"}:
            (path / item.name).symlink_to(item)
    if bundled():
        shutil.copytree(ROOT / "models" / "default", path / "models" / "default")
    (path / ".venv").symlink_to(sys.prefix)
    rng = np.random.default_rng(4)
    write_kaggle_folder(path / "chest_xray", rng, train=(24, 24), val=(1, 1), test=(3, 3), size=96)
    for command in commands():
        for name in re.findall(r"@([\w./-]+\.(?:jpe?g|png))", command):
            Image.fromarray(chest_phantom(rng, pneumonia=True, size=300)).save(path / name)
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user whose installation is done, and whose curl minds errors."""
    home = tmp_path_factory.mktemp("curl")
    (home / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
    stamps = (f"-o {sys.prefix}/.{name}" for name in ("service", "trainer", "dev"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CURL_HOME": str(home),
        "VENV": sys.prefix,
        "ARGS": " ".join(QUICK_TRAINING),
        "MAKEFLAGS": " ".join(stamps),
    }


@pytest.fixture(scope="module")
def port(folder: Path, environment: dict[str, str]) -> Iterator[int]:
    """The port of a service that `make serve` runs."""
    if not bundled():
        pytest.skip("no bundle ships in models/default")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    server = subprocess.Popen(
        ["make", "serve", f"PORT={number}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urlopen(f"http://127.0.0.1:{number}/readyz", timeout=5).close()
                break
            except (URLError, OSError):
                assert server.poll() is None, "make serve ended"
                assert time.monotonic() < deadline, "make serve was not ready within a minute"
                time.sleep(0.1)
        yield number
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


def test_the_readme_shows_the_two_commands_and_a_request() -> None:
    lines = "\n".join(commands())
    for needed in ("make serve", "make test", "make train", "docker compose up", "/predict"):
        assert needed in lines


@pytest.mark.parametrize("command", [line for line in commands() if not NOT_RUN.match(line)])
def test_a_command_of_the_readme_runs(
    command: str, folder: Path, environment: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if re.search(r"(localhost|127\.0\.0\.1):8000", command):
        number = request.getfixturevalue("port")
        command = re.sub(r"(localhost|127\.0\.0\.1):8000", f"127.0.0.1:{number}", command)
    command = command.replace("path/to/", "")
    if re.search(r"-m trainer evaluate\b", command):
        command += " --resamples=20"
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    # A network fitted on real X-rays may well refuse one drawn in code: an answer all the same.
    answered = PROBLEMS["not-a-chest-xray"].type in result.stdout
    assert result.returncode == 0 or answered, (
        f"{command}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
    )


def documented() -> str:
    return "\n".join(page.read_text("utf-8") for page in PAGES)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_documented(field: str) -> None:
    assert PREFIX + field.upper() in documented()


@pytest.mark.parametrize("slug", PROBLEMS)
def test_every_kind_of_problem_is_documented(slug: str) -> None:
    assert re.search(rf"`(?:\S*:)?{re.escape(slug)}`", documented())


@pytest.mark.parametrize("flag", Flag)
def test_every_flag_of_a_dicom_files_headers_is_documented(flag: Flag) -> None:
    assert f"| `{flag}` |" in (ROOT / "docs" / "dicom.md").read_text(encoding="utf-8")
    assert f"`{flag}`" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_links_within_the_documentation_lead_somewhere() -> None:
    links = [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not re.match(r"[a-z]+:", target)
    ]
    assert not [(page, target) for page, target in links if not (page.parent / target).exists()]


def test_the_makes_targets_that_the_documentation_names_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    named = {word for line in commands() for word in make_target(line)}
    assert named <= targets


def make_target(command: str) -> list[str]:
    words = shlex.split(command, comments=True)
    return [word for word in words[1:2] if words[0] == "make"]
