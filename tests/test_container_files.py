"""What the container files promise, read from the files; tests/e2e builds and runs them."""

import re
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from gateway.settings import Settings as GatewaySettings
from service.settings import Settings as ServiceSettings
from tests.conftest import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
PYTHON = ("service", "trainer", "gateway")
NAMES = (*PYTHON, "proxy")


def dockerfile(name: str) -> str:
    return (ROOT / f"Dockerfile.{name}").read_text("utf-8").replace("\\\n", " ")


def service(name: str) -> dict[str, Any]:
    return dict(COMPOSE["services"][name])


def test_all_images_run_as_the_same_user_who_is_not_root() -> None:
    users = {name: re.findall(r"^USER (.+)$", dockerfile(name), re.M) for name in NAMES}
    archive = (ROOT / "deploy" / "pacs" / "Dockerfile").read_text("utf-8")
    users["archive"] = re.findall(r"^USER (.+)$", archive, re.M)
    assert {name: ["10001:10001"] for name in users} == users


@pytest.mark.parametrize("name", PYTHON)
def test_images_are_built_in_stages_from_the_slim_base(name: str) -> None:
    bases = re.findall(r"^FROM (\S+)", dockerfile(name), re.M)
    assert bases == ["python:3.11-slim"] * 2
    constraints = {"service": '"constraints/${EXTRA:-service}.txt"'}
    assert f"-c {constraints.get(name, f'constraints/{name}.txt')}" in dockerfile(name)


def copied(text: str) -> list[str]:
    """What a container file takes from the project's folder."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", text, re.M)
    words = [[word for word in line.split() if not word.startswith("--")] for line in lines]
    return [source.rstrip("/") for line in words for source in line[:-1]]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets a path through: the last line that matches it decides."""
    steps = [path, *(parent.as_posix() for parent in PurePosixPath(path).parents)]
    ignored = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!")
        if not line.startswith("#") and any(fnmatch(step, pattern) for step in steps[:-1]):
            ignored = not line.startswith("!")
    return not ignored


@pytest.mark.parametrize("path", ["Dockerfile.*", "deploy/*/Dockerfile"])
def test_what_is_copied_is_there_and_not_left_out(path: str) -> None:
    files = sorted(ROOT.glob(path))
    assert files
    for file in files:
        for source in copied(file.read_text("utf-8").replace("\\\n", " ")):
            assert (ROOT / source).exists(), (file.name, source)
            assert in_context(source), (file.name, source)


@pytest.mark.parametrize("name", PYTHON)
def test_an_image_holds_every_package_that_its_own_import(name: str) -> None:
    packages = {path for path in copied(dockerfile(name)) if (ROOT / path / "__init__.py").exists()}
    imported = {
        found
        for package in packages
        for module in (ROOT / package).rglob("*.py")
        for found in re.findall(
            r"^\s*(?:from|import) (shared|service|trainer|gateway)\b",
            module.read_text("utf-8"),
            re.M,
        )
    }
    assert name in packages
    assert imported <= packages


@pytest.mark.parametrize("name", [*NAMES, "archive"])
def test_containers_are_hardened(name: str) -> None:
    settings = service(name)
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert settings["mem_limit"]
    assert settings["pids_limit"]
    assert settings["tmpfs"]


def test_the_service_only_reads_the_models_that_the_trainer_writes() -> None:
    assert service("service")["volumes"] == ["models:/models:ro"]
    assert "models:/models" in service("trainer")["volumes"]
    assert service("trainer")["volumes"][0]["read_only"] is True


def test_the_trainer_downloads_to_the_volume_with_the_account_of_the_caller() -> None:
    [cache] = re.findall(r"\bKAGGLEHUB_CACHE=(\S+)", dockerfile("trainer"))
    assert cache.startswith("/models/")
    assert f"fit --data {cache}" in "\n".join(documented_commands())
    assert service("trainer")["environment"] == [
        "KAGGLE_API_TOKEN",
        "KAGGLE_USERNAME",
        "KAGGLE_KEY",
    ]


def documented_commands() -> list[str]:
    """The commands of the documentation that run the trainer's container."""
    pages = (ROOT / "README.md", ROOT / "docker-compose.yml", *(ROOT / "docs").glob("*.md"))
    text = "\n".join(page.read_text("utf-8") for page in pages)
    return re.findall(r"^.*docker compose run .*\btrainer\b.*$", text, re.M)


def test_documented_commands_of_the_trainer_name_a_folder_that_is_there() -> None:
    assert documented_commands()
    without = [line for line in documented_commands() if "DATA=" not in line]
    assert not without, "compose refuses to start where ./data is missing"


def test_up_serves_and_no_more_unless_told() -> None:
    assert service("trainer")["profiles"] == ["train"]
    assert service("proxy")["profiles"] == ["https"]
    assert "profiles" not in service("service")


def test_the_proxy_finds_the_service_and_offers_the_ports_that_it_listens_on() -> None:
    conf = (ROOT / "deploy" / "proxy" / "nginx.conf").read_text("utf-8")
    listening = re.findall(r"\blisten (\d+)", conf)
    assert [port.rpartition(":")[2] for port in service("proxy")["ports"]] == listening[::-1]
    assert re.findall(r"^EXPOSE (.+)$", dockerfile("proxy"), re.M) == [" ".join(listening)]
    host, port = re.findall(r"set \$service (\w+):(\d+);", conf)[0]
    assert service(host)["ports"][0].endswith(f":{port}")


def test_the_gateway_and_its_archive_come_only_when_asked_for() -> None:
    assert service("gateway")["profiles"] == service("archive")["profiles"] == ["pacs"]
    assert "ports" not in service("gateway"), "the archive reaches it by name"


def test_the_archive_is_offered_to_this_machine_alone_unless_told() -> None:
    assert all(one.startswith("${BIND:-127.0.0.1}:") for one in service("archive")["ports"])


def test_the_service_is_offered_to_this_machine_alone_unless_told() -> None:
    assert service("service")["ports"] == ["${BIND:-127.0.0.1}:${PORT:-8000}:8000"]


def test_the_context_holds_no_data_and_no_history() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert lines[1] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert not allowed & {".git", "data", "tests", ".", "models/current"}
    assert "deploy/*" in lines  # but for what is named


def test_compose_passes_on_settings_that_there_are() -> None:
    """An unknown one, though it be empty, stops the start."""
    for program, prefix, settings in (
        ("service", ServiceSettings.model_config["env_prefix"], ServiceSettings),
        ("gateway", GatewaySettings.model_config["env_prefix"], GatewaySettings),
    ):
        known = {f"{prefix}{field}".upper() for field in settings.model_fields}
        assert set(service(program)["environment"]) <= known
