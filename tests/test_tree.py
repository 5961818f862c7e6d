"""The shape of the project: which way imports run, and what a folder may hold."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("shared", "service", "trainer", "gateway")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FORBIDDEN = {
    "shared": {"service", "trainer", "gateway", "tensorflow", "keras", "fastapi"},
    "service": {"trainer", "gateway", "sklearn", "cv2", "matplotlib"},
    "trainer": {"service", "gateway", "fastapi", "uvicorn"},
    "gateway": {"service", "trainer", "fastapi", "uvicorn", "onnxruntime"},
}
TENSORFLOW_ONLY = {
    "trainer/model/backend.py",
    "trainer/model/fused_batchnorm.py",
}
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


def tracked() -> list[Path]:
    """Files that git knows, or would; all of them in a tree without git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of a module's syntax tree; the module itself is first."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports(path: Path) -> set[str]:
    """Top-level names of everything that a module imports, also within functions."""
    names: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


# Floors of each program: a module imports from its own room, and from rooms on floors below it.
FLOORS = {
    "trainer": (
        ("__main__",),
        ("cli",),
        ("commands",),
        ("studies",),
        ("runs",),
        ("report",),
        ("evaluation", "training"),
        ("decision", "model"),
        ("data",),
        ("config",),
        ("bootstrap", "console"),
        ("errors",),
    ),
    "service": (
        ("__main__",),
        ("app", "offline"),
        ("api",),
        ("http", "web"),
        ("dependencies",),
        ("telemetry",),
        ("auth",),
        ("screening",),
        ("inference",),
        ("settings",),
        ("runtime",),
        ("problems",),
    ),
    "gateway": (
        ("__main__",),
        ("node",),
        ("stages",),
        ("dicom",),
        ("telemetry", "results"),
        ("screening_client", "settings", "spool"),
        ("peers", "backoff"),
    ),
    "shared": (
        ("interpretation", "imaging", "onnx_network"),
        ("bundle", "heatmap", "network"),
        ("labels", "preprocessing"),
        ("runtime",),
    ),
}


def rooms(path: Path) -> set[str]:
    """The rooms, or modules beside them, of the same program that a module imports."""
    package = path.relative_to(ROOT).parts[0]
    known = {path.stem for path in (ROOT / package).iterdir()}
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        else:
            continue
        parts = [name.split(".") for name in named]
        found |= {part[1] for part in parts if part[0] == package and len(part) > 1}
    return found & known


def arrows_up(path: Path) -> set[str]:
    """The rooms that a module imports from though they are not below its own."""
    package, own = path.relative_to(ROOT).with_suffix("").parts[:2]
    if own == "__init__":
        return rooms(path)
    floor = {room: level for level, names in enumerate(FLOORS[package]) for room in names}
    return {room for room in rooms(path) - {own} if floor[room] <= floor[own]}


def test_arrows_between_rooms_run_down() -> None:
    assert {path: up for path in SOURCES if (up := arrows_up(path))} == {}


def modules_imported(path: Path) -> set[str]:
    """The modules of the project that a module imports, by their dotted names."""
    known = {".".join(source.relative_to(ROOT).with_suffix("").parts) for source in SOURCES}
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {
        ".".join(source.relative_to(ROOT).with_suffix("").parts): modules_imported(source)
        for source in SOURCES
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_stay_small(package: str) -> None:
    beside = list((ROOT / package).glob("*.py"))
    assert len(beside) <= 8
    for room in (ROOT / package).iterdir():
        if room.is_dir() and room.name != "__pycache__":
            assert len([path for path in room.glob("*.py") if path.stem != "__init__"]) <= 12, room


def test_imports_run_one_way() -> None:
    found = {path: imports(path) & FORBIDDEN[path.relative_to(ROOT).parts[0]] for path in SOURCES}
    assert {path: forbidden for path, forbidden in found.items() if forbidden} == {}


def test_tensorflow_is_imported_only_where_nothing_else_will_do() -> None:
    """The rest of the trainer runs on any backend of Keras."""
    by_name = {str(path.relative_to(ROOT)) for path in SOURCES if "tensorflow" in imports(path)}
    assert by_name == TENSORFLOW_ONLY


FOR_ARCHIVES = {"pyarrow", "dask", "distributed"}
FOR_TRAINING = {"tensorflow", "keras"}
FOR_DICOM = {"pydicom", "imagecodecs"}  # loaded when such a file comes


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("service.app", FOR_ARCHIVES | FOR_TRAINING | FOR_DICOM),
        ("service.screening.pipeline", FOR_TRAINING | FOR_DICOM),
        ("service.__main__", FOR_ARCHIVES),
        ("service.offline.screen", FOR_ARCHIVES),
        ("shared.bundle.store", FOR_TRAINING),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_some_need_is_loaded_for_them_alone(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; sys.exit(' '.join({heavy} & set(sys.modules)) or None)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_scheduler_loads_next_to_nothing() -> None:
    """It imports what it passes on to workers, and has its memory for other things."""
    code = (
        "import sys, service.offline.archive.task; sys.exit(bool({'numpy', 'onnxruntime', 'PIL'} "
        "& set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_loading_what_reads_dicom_asks_nothing_of_a_network() -> None:
    """A release of pydicom fetched its example files on import."""
    code = (
        "import socket, sys; sys.addaudithook(lambda event, _: sys.exit(event) "
        "if event in ('socket.connect', 'socket.getaddrinfo') else None); "
        "import shared.imaging.dicom.image"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_app_only_puts_parts_together() -> None:
    assert len((ROOT / "service" / "app.py").read_text(encoding="utf-8").splitlines()) < 50


def test_decisions_stay_short() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert pages
    assert not [page for page in pages if len(page.read_text("utf-8").splitlines()) > 40]


def test_every_name_says_something() -> None:
    vague = [path for path in tracked() if path.stem.lower() in NO_NAMES]
    assert not vague


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


@pytest.mark.parametrize("name", ["service", "cluster", "trainer", "gateway", "dev"])
def test_constraints_pin_everything_by_version_alone(name: str) -> None:
    lines = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert not [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.+!]+", line)
    ]


def normal(requirement: str) -> str:
    """The name of a requirement, as PEP 503 normalises it."""
    found = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_constraints_cover_what_is_required_and_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = {"service": project["dependencies"]}
    needed["trainer"] = needed["service"] + extras["trainer"] + extras["fitting"]
    needed["gateway"] = needed["service"] + extras["gateway"]
    needed["cluster"] = needed["service"] + extras["archive"] + extras["cluster"]
    needed["dev"] = needed["trainer"] + needed["gateway"] + needed["cluster"] + extras["dev"]
    pinned = {}
    for name, requirements in needed.items():
        lines = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        pinned[name] = {normal(line): line.split("==")[1] for line in lines}
        names = {normal(requirement) for requirement in requirements} - {project["name"]}
        assert names <= set(pinned[name]), f"run `make constraints`: {name}"
    for name in ("service", "cluster", "trainer", "gateway"):
        assert pinned[name].items() <= pinned["dev"].items()


def test_no_download_address_and_no_path_of_one_machine() -> None:
    address = re.compile(
        r"https?://[^\s\"]+(/simple/?\b|\.whl|\.tar\.gz|\.tgz)|files\.pythonhosted"
    )
    bad = []
    for path in tracked():
        if path.suffix in {".onnx", ".h5", ".png", ".ico", ".woff2"} or path == Path(__file__):
            continue
        if address.search(path.read_text(encoding="utf-8", errors="ignore")):
            bad.append(str(path.relative_to(ROOT)))
    assert not bad
