"""The programs around a gateway, each a process that can be killed and started again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.service.conftest import wait_until
from tests.service.tiny_bundle import publish_tiny

PACS = ROOT / "deploy" / "pacs"
USER = ("orthanc", "orthanc")

PATIENCE = 120
"""Seconds to wait for what takes a few: the machine may be busy."""

NEEDED = {
    "Orthanc": "orthanc",
    "/usr/share/orthanc/plugins/libOrthancPython.so": "orthanc-python",
    "/usr/share/orthanc/plugins/libOrthancWebViewer.so": "orthanc-webviewer",
    "storescu": "dcmtk",
    "dsrdump": "dcmtk",
    "dciodvfy": "dicom3tools",
}


def dcmtk(name: str) -> str:
    """A program of dcmtk: pynetdicom brings others of the same names into the environment."""
    own = Path(sys.executable).parent
    others = [one for one in os.environ["PATH"].split(os.pathsep) if Path(one) != own]
    return shutil.which(name, path=os.pathsep.join(others)) or name


def require_peers() -> None:
    """Skips where a program is missing, unless CI is set: there it fails."""
    missing = sorted(
        {
            package
            for name, package in NEEDED.items()
            if not (shutil.which(name) or Path(name).exists())
        }
    )
    if missing:
        reason = f"apt-get install {' '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(f"the peers are missing: {reason}")
        pytest.skip(reason)


def _kept_to(cores: Sequence[int] | None) -> list[str]:
    """The beginning of a command that may use these cores alone."""
    return ["taskset", "-c", ",".join(map(str, cores))] if cores else []


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Program:
    """A process that answers at an address when it is ready."""

    def __init__(
        self, name: str, command: list[str], ready: str, folder: Path, variables: Mapping[str, str]
    ) -> None:
        self.name, self._command, self._ready = name, command, ready
        self.log = folder / f"{name}.log"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("XRAY_", "GATEWAY_"))}
        self._environment = kept | dict(variables)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it; does not wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def wait_until_ready(self) -> None:
        """Waits until it answers."""
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, f"{self.name} was not ready in time"
            time.sleep(0.05)

    def kill(self) -> None:
        """Ends it at once (SIGKILL), as a loss of power would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """Ends it as a service manager does (SIGTERM); the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(30)
        self.kill()
        return -signal.SIGKILL

    def memory(self) -> int:
        """Its resident memory in bytes (Linux)."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.split("VmRSS:")[1].split()[0])

    def keep_to(self, cores: Sequence[int]) -> None:
        """Has all of its threads use these cores alone (Linux)."""
        assert self.process is not None
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)

    def processor_seconds(self) -> float:
        """Processor time that it has taken so far, the kernel's for it included (Linux)."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            answer = httpx.get(self._ready, timeout=5, trust_env=False, auth=USER)
            return answer.status_code == httpx.codes.OK
        return False


class Hospital:
    """A gateway between the real service and a real Orthanc.

    Attributes:
        gateway: The gateway's process.
        service: The screening service's process; its model is a tiny one that refuses nothing.
        archive: Orthanc's process, set up as in deploy/pacs.
        port: The gateway's DICOM port.
        spool: The gateway's spool.
        metrics_url: Where the gateway's metrics are.
        archive_url: Orthanc's HTTP address.
        archive_port: Its DICOM port.
    """

    def __init__(
        self,
        folder: Path,
        models: Path | None = None,
        service_cores: Sequence[int] | None = None,
        **settings: object,
    ) -> None:
        self.folder = folder
        self.port, self.archive_port = free_port(), free_port()
        store = folder / "archive"
        store.mkdir()
        self.archive_url = f"http://127.0.0.1:{free_port()}"
        self.service_url = f"http://127.0.0.1:{free_port()}"
        self.metrics_url = f"http://127.0.0.1:{free_port()}"
        self.spool = folder / "spool"
        if models is None:
            models = folder / "models"
            models.mkdir()
            publish_tiny(models)
        self.service = Program(
            "service",
            [*_kept_to(service_cores), sys.executable, "-m", "service"],
            f"{self.service_url}/readyz",
            folder,
            {"XRAY_PORT": self.service_url.rpartition(":")[2], "XRAY_MODELS": str(models)},
        )
        self.archive = Program(
            "archive",
            ["Orthanc", str(PACS / "orthanc.json")],
            f"{self.archive_url}/system",
            folder,
            {
                "PACS_FOLDER": str(store),
                "PACS_SCRIPTS": str(PACS),
                "PACS_DICOM_PORT": str(self.archive_port),
                "PACS_HTTP_PORT": self.archive_url.rpartition(":")[2],
                "PACS_GATEWAY_HOST": "127.0.0.1",
                "PACS_GATEWAY_PORT": str(self.port),
            },
        )
        usual: dict[str, object] = {
            "archive": f"ORTHANC@127.0.0.1:{self.archive_port}",
            "service": self.service_url,
            "port": self.port,
            "health_port": self.metrics_url.rpartition(":")[2],
            "spool": self.spool,
            "spool_reserve": 1 << 20,
            "retry_seconds": 0.2,
            "retry_longest_seconds": 2,
            "log_format": "json",
        }
        variables = {f"GATEWAY_{k.upper()}": str(v) for k, v in (usual | settings).items()}
        command = [sys.executable, "-m", "gateway"]
        self.gateway = Program("gateway", command, f"{self.metrics_url}/readyz", folder, variables)
        self.variables = variables
        self.programs = (self.service, self.archive, self.gateway)
        self._http = httpx.Client(timeout=60, auth=USER, trust_env=False)

    def objects(self, modality: str) -> list[dict[str, Any]]:
        """The tags of all objects of a modality in the archive."""
        query = {"Level": "Instance", "Query": {"Modality": modality}, "Expand": True}
        url = f"{self.archive_url}/tools/find"
        found = self._http.post(url, json=query)
        return [one["MainDicomTags"] | {"id": one["ID"]} for one in found.json()]

    def wait_for(self, modality: str, count: int) -> list[dict[str, Any]]:
        """The same, once there are so many."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self.objects(modality)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} {modality} came"
            time.sleep(0.2)
        return found

    def file(self, identifier: str, path: Path) -> Path:
        """Writes an object of the archive to a file."""
        url = f"{self.archive_url}/instances/{identifier}/file"
        answer = self._http.get(url)
        path.write_bytes(answer.content)
        return path

    def jobs(self, state: str) -> list[str]:
        """The archive's jobs that are in a state, such as "Failure"."""
        found = self._http.get(f"{self.archive_url}/jobs", params={"expand": ""})
        return [job["ID"] for job in found.json() if job["State"] == state]

    def series_of(self, identifier: str) -> str:
        """The archive's name for an object's series."""
        answer = self._http.get(f"{self.archive_url}/instances/{identifier}")
        return str(answer.json()["ParentSeries"])

    def metric(self, name: str) -> float:
        """The sum of one of the gateway's metrics over its labels."""
        lines = self._http.get(f"{self.metrics_url}/metrics").text.splitlines()
        wanted = [line for line in lines if line.partition("{")[0].partition(" ")[0] == name]
        return sum(float(line.rpartition(" ")[2]) for line in wanted)

    def wait_until_delivered(self, seconds: float = PATIENCE) -> None:
        """Waits until nothing is left in the spool."""
        deadline = time.monotonic() + seconds
        while self.metric("gateway_spool_images"):
            assert time.monotonic() < deadline, "the spool was not empty in time"
            time.sleep(0.2)

    def send(self, *files: Path | str, to_archive: bool = False) -> bool:
        """Sends files with storescu to the gateway, or the archive; whether all were taken.

        Options of storescu may be among the files.
        """
        command = [dcmtk("storescu"), "-to", "10", "-ta", "10", "-td", "30", "-aet", "MODALITY"]
        title, port = ("ORTHANC", self.archive_port) if to_archive else ("CXRSCREEN", self.port)
        address = ["-aec", title, "127.0.0.1", str(port)]
        sent = subprocess.run(
            [*command, *address, *map(str, files)], capture_output=True, check=False, timeout=3600
        )
        return sent.returncode == 0

    def close(self) -> None:
        """Closes the connections to archive and metrics."""
        self._http.close()

    def archive_listens(self) -> bool:
        """Whether the archive answers a C-ECHO."""
        echo = [dcmtk("echoscu"), "-to", "5", "-aet", "MODALITY", "-aec", "ORTHANC", "127.0.0.1"]
        asked = subprocess.run(
            [*echo, str(self.archive_port)], capture_output=True, check=False, timeout=60
        )
        return asked.returncode == 0


@contextmanager
def hospital(folder: Path, **settings: Any) -> Iterator[Hospital]:
    """Runs one, ready when the block begins."""
    place = Hospital(folder, **settings)
    try:
        for program in place.programs:
            program.start()
        for program in place.programs:
            program.wait_until_ready()
        wait_until(place.archive_listens)  # it answers over HTTP before it does over DICOM
        yield place
    finally:
        for program in place.programs:
            program.kill()
        place.close()
