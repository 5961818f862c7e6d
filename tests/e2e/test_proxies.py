"""Real proxies before a real service: the one that ships, and those of the documentation.

Skipped where nginx or Caddy are not installed, unless CI is set.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.e2e.process import free_port, launched, program
from tests.service.conftest import wait_until
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE, publish_tiny

SHIPPED = ROOT / "deploy" / "proxy"
DOCUMENTED = (ROOT / "docs" / "deployment.md").read_text("utf-8")
LARGE = 20_000_000
"""Bytes of an upload that the service refuses."""


def documented(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENTED, re.M | re.S)
    return str(block)


def replaced(text: str, changes: dict[str, str]) -> str:
    """A text with each of these changed; each must be there."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not there any more"
        text = text.replace(old, new)
    return text


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        url: Its address, without a slash at its end.
        folder: Where its files are, in `folder/tmp` what it may write for itself.
        process: Its process id.
        plain: The port that speaks plain HTTP; 0 where there is none.
    """

    url: str
    folder: Path
    process: int
    plain: int = 0

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=False, timeout=60, trust_env=False)

    def curl(self, *arguments: str, path: str = "/predict") -> tuple[int, int, str, bytes]:
        """curl's exit code, the status, the content type and the content."""
        out = self.folder / "answer"
        out.unlink(missing_ok=True)
        quiet = ["-q", "-sk", "-o", str(out), "-w", "%{http_code} %{content_type}"]
        done = subprocess.run(
            [program("curl"), *quiet, *arguments, self.url + path],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        status, _, kind = done.stdout.partition(" ")
        return done.returncode, int(status), kind, out.read_bytes() if out.exists() else b""

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection with TLS, for clients that do what they like."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = ("127.0.0.1", httpx.URL(self.url).port or 0)
        with socket.create_connection(address, 30) as plain, context.wrap_socket(plain) as secured:
            yield secured

    def written(self) -> list[str]:
        """The files that its processes hold open for uploads and answers, deleted or not."""
        children = Path(f"/proc/{self.process}/task/{self.process}/children").read_text().split()
        files = [
            str(link.readlink())
            for process in (self.process, *children)
            for link in Path(f"/proc/{process}/fd").iterdir()
        ]
        return [file for file in files if file.startswith(f"{self.folder}/tmp/")]


@contextmanager
def running(command: list[str], url: str, folder: Path, plain: int = 0) -> Iterator[Proxy]:
    log = (folder / "log").open("w")
    kept = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=kept)
    try:

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return httpx.get(f"{url}/livez", verify=False, trust_env=False).status_code > 0
            except httpx.TransportError:
                return False

        wait_until(answers)
        yield Proxy(url, folder, process.pid, plain)
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as entered:
        yield entered


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path, without its ending, of a certificate and its key."""
    name = tmp_path_factory.mktemp("certificate") / "xray"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
    command = [program("openssl"), "req", "-x509", "-subj", "/CN=localhost", *key, *files]
    subprocess.run(command, check=True, capture_output=True)
    return name


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The host and port of a service with the prefix /xray."""
    models = tmp_path_factory.mktemp("models")
    publish_tiny(models)
    with launched(models, root_path="/xray") as running_service:
        yield running_service.url.removeprefix("http://").rstrip("/")


# nginx, run by root, would work as nobody, who may not write to a test's folder.
FOREGROUND = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
NGINX_AROUND = """
{foreground}
worker_processes 1;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/tmp/body;
    proxy_temp_path {folder}/tmp/proxy;
    fastcgi_temp_path {folder}/tmp/fastcgi;
    uwsgi_temp_path {folder}/tmp/uwsgi;
    scgi_temp_path {folder}/tmp/scgi;
{block}
}}
"""


def documented_nginx(
    stack: ExitStack, folder: Path, service: str, certificate: Path, changes: dict[str, str]
) -> Proxy:
    """Debian's nginx with the documented block, changed where the machine differs."""
    port = free_port()
    here = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "127.0.0.1:8000": service,
        "/etc/ssl/xray": str(certificate),
    }
    block = replaced(replaced(documented("nginx"), here), changes)
    (folder / "tmp").mkdir(parents=True)
    (folder / "nginx.conf").write_text(
        NGINX_AROUND.format(foreground=FOREGROUND, folder=folder, block=block)
    )
    command = [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return stack.enter_context(running(command, f"https://127.0.0.1:{port}", folder))


def shipped_nginx(
    stack: ExitStack, folder: Path, service: str, certificates: Path, domain: str = "localhost"
) -> Proxy:
    """The proxy that ships, as its container starts it."""
    secure, plain = free_port(), free_port()
    (folder / "tmp").mkdir(parents=True)
    conf = replaced(
        (SHIPPED / "nginx.conf").read_text("utf-8"),
        {
            "/tmp/": f"{folder}/tmp/",
            "listen 8080": f"listen 127.0.0.1:{plain}",
            "listen 8443": f"listen 127.0.0.1:{secure}",
            "service:8000": service,
        },
    )
    (folder / "proxy.conf").write_text(conf)
    start = replaced(
        (SHIPPED / "start.sh").read_text("utf-8"),
        {
            "/tmp/": f"{folder}/tmp/",
            "/certs/": f"{certificates}/",
            "/etc/nginx/proxy.conf": f"{folder}/proxy.conf",
            "nginx -c": f"{program('nginx')} -c",
            "daemon off;": FOREGROUND,
        },
    )
    (folder / "start").write_text(start)
    environment = ["env", f"DOMAIN={domain}", f"HTTPS_PORT={secure}"]
    command = [*environment, "sh", str(folder / "start")]
    return stack.enter_context(running(command, f"https://127.0.0.1:{secure}", folder, plain))


def documented_caddy(stack: ExitStack, folder: Path, service: str) -> Proxy:
    """Debian's Caddy with the documented block, and a certificate of its own."""
    port = free_port()
    folder.mkdir()
    block = replaced(
        documented("caddyfile"),
        {
            "xray.clinic.example {": f"https://127.0.0.1:{port} {{\n    tls internal",
            "127.0.0.1:8000": service,
        },
    )
    options = "{\n  admin off\n  auto_https disable_redirects\n  skip_install_trust\n}\n"
    (folder / "Caddyfile").write_text(options + block)
    command = [program("caddy"), "run", "--config", str(folder / "Caddyfile")]
    return stack.enter_context(running(command, f"https://127.0.0.1:{port}", folder))


@pytest.fixture(params=["nginx", "shipped", "caddy"])
def proxy(
    request: pytest.FixtureRequest,
    stack: ExitStack,
    tmp_path: Path,
    service: str,
    certificate: Path,
) -> Proxy:
    """Each of the three."""
    folder = tmp_path / "proxy"
    if request.param == "caddy":
        return documented_caddy(stack, folder, service)
    if request.param == "nginx":
        return documented_nginx(stack, folder, service, certificate, {})
    certificates = tmp_path / "certs"
    certificates.mkdir()
    return shipped_nginx(stack, folder, service, certificates)


def test_an_image_is_answered_with_and_without_the_prefix(proxy: Proxy) -> None:
    with proxy.client() as client:
        for path in ("/predict", "/xray/predict"):
            answer = client.post(path, files={"file": PNEUMONIA_LIKE})
            assert (answer.status_code, answer.json()["label"]) == (200, "PNEUMONIA")


def test_the_page_and_its_files_come_under_the_prefix(proxy: Proxy) -> None:
    with proxy.client() as client:
        moved = client.get("/xray")
        assert (moved.status_code, moved.headers["location"]) == (307, "/xray/")
        page = client.get("/xray/").text
        files = re.findall(r'(?:src|href)="([^":#]+\.(?:js|css)[^"]*)"', page)
        assert files
        for file in files:
            assert client.get(httpx.URL(f"{proxy.url}/xray/").join(file)).status_code == 200


def test_an_image_that_comes_slowly_is_answered(proxy: Proxy, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(NORMAL_LIKE + bytes(120_000))
    slowly = ["--limit-rate", "60k", "-F", f"file=@{tmp_path}/image.png"]
    code, status, _, text = proxy.curl(*slowly)
    assert (code, status, json.loads(text)["label"]) == (0, 200, "NORMAL")


@pytest.mark.parametrize("proxy", ["nginx", "shipped"], indirect=True)
@pytest.mark.parametrize("expect", ["Expect:", "Expect: 100-continue"])
def test_too_large_an_upload_is_refused_in_the_services_words(
    proxy: Proxy, tmp_path: Path, expect: str
) -> None:
    (tmp_path / "large").write_bytes(bytes(LARGE))
    for _ in range(5):
        code, status, kind, text = proxy.curl("-H", expect, "--data-binary", f"@{tmp_path}/large")
        assert (code, status, kind) == (0, 413, "application/problem+json")
        assert "accepted are 16.8 MB" in json.loads(text)["detail"]


@contextmanager
def upload_under_way(proxy: Proxy, path: str = "/predict") -> Iterator[socket.socket]:
    """An upload of which 3 MB were sent, and one byte is still to come."""
    size = 3_000_000
    with proxy.connected() as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode() + bytes(size - 1))
        yield connection


def held(service: str) -> float:
    """Bytes of uploads that the service has in memory."""
    text = httpx.get(f"http://{service}/metrics", trust_env=False).text
    (value,) = re.findall(r"^xray_upload_bytes (\S+)", text, re.M)
    return float(value)


@pytest.mark.parametrize("proxy", ["nginx", "shipped"], indirect=True)
def test_an_upload_is_never_written_to_disk(proxy: Proxy, service: str) -> None:
    """It is with the service while it still comes in."""
    with upload_under_way(proxy) as connection:
        wait_until(lambda: held(service) == 2_999_999)
        assert proxy.written() == []
        connection.sendall(b"\0")
        assert b" 415 " in connection.recv(100)


def test_what_shows_an_upload_on_disk_can_fail(
    stack: ExitStack, tmp_path: Path, service: str, certificate: Path
) -> None:
    spooling = {"proxy_request_buffering off;": ""}
    proxy = documented_nginx(stack, tmp_path / "proxy", service, certificate, spooling)
    with upload_under_way(proxy):
        wait_until(lambda: proxy.written() != [])
        assert held(service) == 0


def test_a_prefix_works_even_with_the_slash_too_many(
    stack: ExitStack, tmp_path: Path, service: str, certificate: Path
) -> None:
    wrong = {"location / {": "location /xray {", "http://xray;": "http://xray/;"}
    proxy = documented_nginx(stack, tmp_path / "proxy", service, certificate, wrong)
    with proxy.client() as client:
        assert client.post("/xray/predict", content=NORMAL_LIKE).status_code == 200
        assert client.get("/xray/").status_code == 200


@pytest.fixture
def shipped(stack: ExitStack, tmp_path: Path, service: str) -> Proxy:
    (tmp_path / "certs").mkdir()
    return shipped_nginx(stack, tmp_path / "proxy", service, tmp_path / "certs")


def raw(proxy: Proxy, request: bytes) -> bytes:
    """All that comes in answer to these bytes."""
    with proxy.connected() as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize(
    ("request_bytes", "status", "slug"),
    [
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "malformed-request"),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "method-not-allowed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: %s\r\n\r\n" % (b"a" * 9000), 431, "headers-too-large"),
        (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 9000), 431, "headers-too-large"),
    ],
)
def test_what_the_proxy_refuses_itself_is_a_problem(
    shipped: Proxy, request_bytes: bytes, status: int, slug: str
) -> None:
    head, _, body = raw(shipped, request_bytes).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json" in head.lower()
    told = json.loads(body)
    assert told["type"] == f"urn:chest-xray-screening:problem:{slug}"
    assert told["status"] == status
    assert told["request_id"]


def test_plain_http_is_sent_to_https(shipped: Proxy) -> None:
    port = httpx.URL(shipped.url).port
    for asked in (f"http://127.0.0.1:{shipped.plain}/x?y=1", f"http://127.0.0.1:{port}/x?y=1"):
        moved = httpx.post(asked, content=NORMAL_LIKE, trust_env=False)
        assert moved.status_code == 308
        assert moved.headers["location"] == f"https://127.0.0.1:{port}/x?y=1"


def test_a_service_that_is_not_there_is_a_problem(stack: ExitStack, tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    nobody = f"127.0.0.1:{free_port()}"
    proxy = shipped_nginx(stack, tmp_path / "proxy", nobody, tmp_path / "certs")
    with proxy.client() as client:
        answer = client.post("/predict", content=NORMAL_LIKE)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["type"].endswith(":not-ready")


def names(proxy: Proxy) -> str:
    """What the certificate says of itself."""
    port = httpx.URL(proxy.url).port or 0
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_the_certificate_that_was_made_stays_until_the_name_changes(
    tmp_path: Path, service: str
) -> None:
    certificates = tmp_path / "certs"
    certificates.mkdir()
    shown = []
    for index, domain in enumerate(["localhost", "localhost", "192.0.2.7"]):
        with ExitStack() as stack:
            folder = tmp_path / str(index)
            proxy = shipped_nginx(stack, folder, service, certificates, domain)
            shown.append(names(proxy))
            assert "sha256 Fingerprint=" in (folder / "log").read_text()
    assert shown[0] == shown[1] != shown[2]
    (tmp_path / "shown.crt").write_text(shown[2])
    show = [program("openssl"), "x509", "-in", f"{tmp_path}/shown.crt", "-noout", "-ext"]
    text = subprocess.run(
        [*show, "subjectAltName"], capture_output=True, text=True, check=True
    ).stdout
    assert "IP Address:192.0.2.7" in text


def test_your_own_certificate_is_taken(
    stack: ExitStack, tmp_path: Path, service: str, certificate: Path
) -> None:
    certificates = tmp_path / "certs"
    certificates.mkdir()
    shutil.copy(f"{certificate}.crt", certificates / "tls.crt")
    shutil.copy(f"{certificate}.key", certificates / "tls.key")
    proxy = shipped_nginx(stack, tmp_path / "proxy", service, certificates)
    assert names(proxy) == Path(f"{certificate}.crt").read_text()


def test_a_certificate_without_its_key_is_said(tmp_path: Path, certificate: Path) -> None:
    program("nginx")
    shutil.copy(f"{certificate}.crt", tmp_path / "tls.crt")
    start = replaced(
        (SHIPPED / "start.sh").read_text("utf-8"),
        {"/tmp/": f"{tmp_path}/", "/certs/": f"{tmp_path}/"},
    )
    ended = subprocess.run(["sh", "-c", start], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "tls.key: not there" in ended.stderr
