"""What surrounds every request: headers, prefix, CORS, the last catch, metrics and logs."""

import io
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api import image_upload
from service.http import middleware
from service.http.middleware import SECURITY_HEADERS, note
from service.screening import network_input
from service.telemetry.logging import set_up_logs
from service.telemetry.metrics import Metrics
from service.telemetry.request_record import Observation
from shared.bundle.manifest import Metric, Unfamiliar
from tests.service.api.test_refusals import expect
from tests.service.conftest import Start, logged, wait_until
from tests.service.tiny_bundle import (
    NORMAL_LIKE,
    PNEUMONIA_LIKE,
    encode,
    publish_tiny,
    tilted,
    tiny_draft,
)


@pytest.mark.parametrize("path", ["/livez", "/nothing", "/docs", "/openapi.json", "/"])
def test_every_answer_carries_the_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    for name in SECURITY_HEADERS:
        assert name in headers
    assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/readyz", "/model", "/docs", "/docs/start.js", "/openapi.json"]
)
def test_head_tells_what_get_would_without_the_content(client: httpx.Client, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in set(got.headers) - {"date", "x-request-id"}:
        assert head.headers[name] == got.headers[name]


def test_a_head_request_is_logged_as_one(client: httpx.Client, log: io.StringIO) -> None:
    client.head("/metrics")
    line = logged(log, route="/metrics")
    assert (line["method"], line["status"]) == ("HEAD", 200)


@pytest.mark.parametrize("path", ["/predict", "/xray/predict"])
def test_it_works_under_a_prefix_stripped_or_not(start: Start, path: str) -> None:
    client = start(root_path="/xray")
    assert client.post(path, content=NORMAL_LIKE).status_code == 200
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/xray"}]


@pytest.mark.parametrize("path", ["//predict", "/xray//predict", "//xray/predict"])
def test_a_slash_too_many_from_a_proxy_does_no_harm(start: Start, path: str) -> None:
    """nginx asks so where location and address do not both end with a slash."""
    client = start(root_path="/xray")
    url = str(client.base_url).rstrip("/")
    assert client.post(url + path, content=NORMAL_LIKE).status_code == 200
    assert client.get(url + path.replace("predict", "")).status_code == 200


def test_a_slash_too_many_within_a_path_is_an_address_that_is_not_there(
    client: httpx.Client,
) -> None:
    url = str(client.base_url).rstrip("/")
    assert client.post(url + "//predict", content=NORMAL_LIKE).status_code == 200
    assert client.post(url + "/predict//batch", content=NORMAL_LIKE).status_code == 404


@pytest.mark.parametrize("query", ["", "?lang=de"])
def test_the_prefix_without_its_slash_leads_to_the_page(start: Start, query: str) -> None:
    """On whatever host, as the proxy's is not known."""
    client = start(root_path="/xray")
    response = client.get(f"/xray{query}")
    assert response.status_code == 307
    assert response.headers["location"] == f"/xray/{query}"
    assert "x-request-id" in response.headers
    assert client.get(response.headers["location"]).status_code == 200
    assert client.get("/xrays").status_code == 404


def test_other_origins_may_call_only_if_they_are_named(start: Start) -> None:
    asked = {"Origin": "https://ward.example", "Access-Control-Request-Method": "POST"}
    closed = start().options("/predict", headers=asked)
    assert "access-control-allow-origin" not in closed.headers
    client = start(cors_origins=("https://ward.example",), api_keys=("key",))
    preflight = client.options(
        "/predict", headers=asked | {"Access-Control-Request-Headers": "X-API-Key"}
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://ward.example"
    stranger = client.get("/livez", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.parametrize(
    "wrong",
    [
        {"Origin": "https://elsewhere.example"},
        {"Access-Control-Request-Method": "DELETE"},
        {"Access-Control-Request-Headers": "X-Patient"},
    ],
    ids=["origin", "method", "header"],
)
def test_a_page_that_may_not_call_is_told_so_by_a_problem(
    start: Start, log: io.StringIO, wrong: dict[str, str]
) -> None:
    client = start(cors_origins=("https://ward.example",))
    asked = {"Origin": "https://ward.example", "Access-Control-Request-Method": "POST"}
    refused = client.options("/predict", headers=asked | wrong)
    problem = expect(refused, 403, "origin-not-allowed")
    assert problem.instance == "/predict"
    assert wrong.popitem()[1] in problem.detail
    assert logged(log, outcome="origin-not-allowed")["status"] == 403


def test_the_unexpected_is_a_problem_too_and_the_log_tells_where_not_what(
    start: Start, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    client = start()

    def fail(_: object) -> None:
        raise RuntimeError("Jane Doe")

    monkeypatch.setattr(network_input, "preprocess", fail)
    response = client.post("/predict", content=NORMAL_LIKE)
    expect(response, 500, "internal-error")
    failure = logged(log, event="request failed")
    logged(log, outcome="internal-error")
    assert "Jane Doe" not in response.text + log.getvalue()
    assert failure["error"] == "RuntimeError"
    assert any("network_input.py" in frame for frame in failure["trace"])


def test_a_log_line_tells_outcome_sizes_and_timing(start: Start, log: io.StringIO) -> None:
    client = start()
    client.post("/predict", content=NORMAL_LIKE, headers={"X-Request-ID": "order-17"})
    line = logged(log, request_id="order-17")
    assert line["outcome"] == "answered"
    assert line["status"] == 200
    assert line["received"] == len(NORMAL_LIKE)
    assert set(line["stages"]) == {"read", "queue", "decode", "infer"}


@pytest.fixture
def written() -> Iterator[list[str]]:
    """What is opened for writing, a temporary file without a name included, as it is opened."""
    paths: list[str] = []
    listening = True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            paths.append(str(arguments[0]))

    sys.addaudithook(hear)  # for good: there is no way to take it back
    with tempfile.TemporaryFile():
        assert paths, "it would be heard"
    paths.clear()
    yield paths
    listening = False


def test_nothing_of_an_upload_reaches_log_or_disk(
    start: Start, log: io.StringIO, written: list[str]
) -> None:
    marker = "Jane-Doe-1962"
    exif = b"Exif\0\0" + marker.encode()
    large = encode(tilted(60, 180, (1500, 1500)), "JPEG", quality=100, comment=marker.encode())
    client = start()
    for image in (large + bytes(2_000_000), exif, large[:5000], marker.encode()):
        for path in ("/predict", "/explain", "/"):
            whole = client.post(path, files={"file": (f"{marker}.jpeg", image)})
            assert (whole.status_code == 200) == (len(image) > len(large))
            client.post(path, files={marker: (f"{marker}.jpeg", image)})
            client.post(f"{path}?{marker}", content=image)
            client.get(f"/{marker}")
    assert "request" in log.getvalue()
    assert marker not in log.getvalue()
    assert written == []


def test_metrics_count_outcomes_stages_and_refusals(start: Start) -> None:
    client = start(body_limit=50_000)
    for content in (NORMAL_LIKE, PNEUMONIA_LIKE, PNEUMONIA_LIKE, b"text"):
        client.post("/predict", content=content)
    client.post("/predict", content=bytes(90_000))
    client.post("/predict", files=[("file", b"text"), ("file", b"text")])
    client.get("/a-path-of-many")
    text = client.get("/metrics").text
    for line in (
        'xray_requests_total{outcome="answered",route="/predict"} 3.0',
        'xray_requests_total{outcome="unsupported-format",route="/predict"} 1.0',
        'xray_requests_total{outcome="not-found",route="other"} 1.0',
        'xray_refusals_total{reason="unsupported-format"} 1.0',
        'xray_refusals_total{reason="upload-too-large"} 1.0',
        'xray_refusals_total{reason="several-files"} 1.0',
        'xray_screenings_total{label="PNEUMONIA"} 2.0',
        'xray_stage_seconds_count{stage="infer"} 3.0',
        'xray_stage_seconds_count{stage="read"} 5.0',
        "xray_queue_depth 0.0",
        "xray_ready 1.0",
    ):
        assert line in text
    assert 'xray_model_info{sha256="' in text
    assert "a-path-of-many" not in text


def test_metrics_tell_what_comes_in_and_what_the_bundle_leads_to_expect(
    start: Start, tmp_path: Path
) -> None:
    changes = {
        "unfamiliar": Unfamiliar(maximum=1e-9, rule="everything is"),
        "metrics": {"reviewed": Metric(value=0.16, low=0.1, high=0.2)},
        "confusion_matrix": ((70, 8), (2, 120)),
    }
    publish_tiny(tmp_path, tiny_draft().model_copy(update=changes))
    client = start(models=tmp_path)
    before = client.get("/metrics").text
    for line in (
        'xray_screenings_total{label="PNEUMONIA"} 0.0',
        'xray_refusals_total{reason="not-a-chest-xray"} 0.0',
        'xray_flags_total{flag="needs_review"} 0.0',
        'xray_flags_total{flag="unfamiliar_image"} 0.0',
        'xray_model_share{of="PNEUMONIA"} 0.64',
        'xray_model_share{of="needs_review"} 0.16',
    ):
        assert line in before
    client.post("/predict", content=NORMAL_LIKE)
    after = client.get("/metrics").text
    assert 'xray_flags_total{flag="needs_review"} 1.0' in after
    assert 'xray_flags_total{flag="unfamiliar_image"} 1.0' in after


def test_a_bundle_without_figures_leads_to_expect_nothing(client: httpx.Client) -> None:
    assert "xray_model_share{" not in client.get("/metrics").text


def test_every_metric_is_documented(client: httpx.Client) -> None:
    documented = (Path(__file__).resolve().parents[3] / "docs/api.md").read_text("utf-8")
    families = re.findall(r"^# TYPE (xray_\w+)", client.get("/metrics").text, re.MULTILINE)
    of_interest = [family for family in families if not family.endswith("_created")]
    assert len(of_interest) > 10
    assert [family for family in of_interest if f"`{family}`" not in documented] == []


def test_what_a_worker_notes_after_the_answer_changes_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log line could fail half-way otherwise: it goes through the stages at that moment."""
    noted: list[Observation] = []
    done = threading.Event()

    def noting(metrics: Metrics, observation: Observation, *rest: Any) -> None:
        noted.append(observation)
        note(metrics, observation, *rest)

    def late(*arguments: Any) -> None:
        wait_until(lambda: bool(noted))
        (stages,) = (each for each in arguments if isinstance(each, dict))
        stages["infer"] = 1.0
        done.set()

    client = start(answer_seconds=0.5)
    monkeypatch.setattr(middleware, "note", noting)
    monkeypatch.setattr(image_upload, "screen", late)
    expect(client.post("/predict", content=NORMAL_LIKE), 503, "took-too-long")
    assert done.wait(30)
    assert set(noted[0].stages) == {"read", "queue"}


def test_a_person_at_a_terminal_reads_text() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    terminal = Terminal()
    try:
        set_up_logs("auto", "info", terminal)
        logging.getLogger("service").info("model taken up", extra={"model": "m1"})
    finally:
        root.handlers, root.level = handlers, level
    assert terminal.getvalue().endswith("info    model taken up  model=m1\n")
