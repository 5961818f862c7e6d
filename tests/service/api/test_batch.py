"""POST /predict/batch: a line a file, in order, while the upload still comes in."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.types import Message

from service.api import image_upload
from service.api.batch import LineByLine
from service.api.batch_screening import Line
from service.api.schemas import BatchLine
from service.http.multipart import FormReader
from service.inference.loaded_model import ServedModel
from service.inference.onnx_network import NetworkInvalid
from service.problems import TYPE_PREFIX
from service.runtime import worker_pool
from service.screening.pipeline import Screening, screen
from shared.imaging.decode import OpenedImage
from tests.service.api.test_refusals import expect
from tests.service.conftest import Start, wait_until
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE

BOUNDARY = b"--b\r\n"
HEADERS = {"Content-Type": "multipart/form-data; boundary=b"}


def part(content: bytes, name: str = "file") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'
    return BOUNDARY + head.encode() + content + b"\r\n"


def send(client: httpx.Client, *files: bytes) -> list[BatchLine]:
    response = client.post("/predict/batch", files=[("file", content) for content in files])
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [BatchLine.model_validate_json(line) for line in response.text.splitlines()]


@contextmanager
def batch_under_way(client: httpx.Client, begun: bytes) -> Iterator[socket.socket]:
    """A batch of which this much is sent, and of which more is announced."""
    head = (
        "POST /predict/batch HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b"
        "\r\nContent-Length: 1000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0), 30) as connected:
        connected.sendall(head.encode() + begun)
        yield connected


def hold_up_screening(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[int]]:
    """Has every image wait for an event; tells of each that is begun."""
    free = threading.Event()
    begun: list[int] = []

    def wait_and_screen(*arguments: Any) -> Screening:
        begun.append(1)
        free.wait(30)
        return screen(*arguments)

    monkeypatch.setattr(image_upload, "screen", wait_and_screen)
    return free, begun


def slug(line: BatchLine) -> str | None:
    return line.problem.type.removeprefix(TYPE_PREFIX) if line.problem else None


def test_each_file_of_a_batch_has_time_of_its_own_to_arrive(start: Start) -> None:
    client = start(upload_seconds=1.2)

    def slow() -> Iterator[bytes]:
        for _ in range(4):
            content = part(NORMAL_LIKE)
            yield content[:-100]
            time.sleep(0.4)
            yield content[-100:]
        yield b"--b--\r\n"

    lines = client.post("/predict/batch", content=slow(), headers=HEADERS).text.splitlines()
    assert [slug(BatchLine.model_validate_json(line)) for line in lines] == [None] * 4


def test_every_file_is_answered_in_order(client: httpx.Client) -> None:
    files = [NORMAL_LIKE, PNEUMONIA_LIKE] * 20
    lines = send(client, *files)
    assert [line.index for line in lines] == list(range(40))
    assert [line.answer and line.answer.label for line in lines] == ["NORMAL", "PNEUMONIA"] * 20


def test_one_bad_file_is_one_bad_line(start: Start) -> None:
    client = start(body_limit=50_000)
    lines = send(client, NORMAL_LIKE, b"text", bytes(60_000), b"", PNEUMONIA_LIKE)
    wanted = [None, "unsupported-format", "upload-too-large", "empty-file", None]
    assert [slug(line) for line in lines] == wanted


def test_a_field_of_another_name_is_a_bad_line(client: httpx.Client) -> None:
    body = part(NORMAL_LIKE) + part(b"1", "patient") + b"--b--\r\n"
    lines = client.post("/predict/batch", content=body, headers=HEADERS).text.splitlines()
    assert [slug(BatchLine.model_validate_json(line)) for line in lines] == [None, "unknown-field"]


def test_files_beyond_the_limit_are_said_to_be(start: Start) -> None:
    lines = send(start(batch_files=3), *[NORMAL_LIKE] * 6)
    assert [slug(line) for line in lines] == [None, None, None, "too-many-files"]


def test_an_upload_that_breaks_off_keeps_what_was_answered(client: httpx.Client) -> None:
    body = part(NORMAL_LIKE) + part(PNEUMONIA_LIKE)[:200]
    lines = client.post("/predict/batch", content=body, headers=HEADERS).text.splitlines()
    assert [slug(BatchLine.model_validate_json(line)) for line in lines] == [
        None,
        "malformed-upload",
    ]


def test_a_request_without_files_is_refused_as_a_whole(client: httpx.Client) -> None:
    response = client.post("/predict/batch", content=b"--b--\r\n", headers=HEADERS)
    expect(response, 400, "no-file")
    expect(client.post("/predict/batch", content=NORMAL_LIKE), 400, "malformed-upload")
    response = client.post("/predict/batch", content=part(NORMAL_LIKE)[:90], headers=HEADERS)
    expect(response, 400, "malformed-upload")


def test_answers_come_while_the_upload_goes_on(client: httpx.Client) -> None:
    """The second file is sent only once the first is answered, so this ends only if they
    overlap."""
    connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port, timeout=30)
    connection.putrequest("POST", "/predict/batch")
    connection.putheader("Content-Type", HEADERS["Content-Type"])
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(chunk(part(NORMAL_LIKE) + BOUNDARY))
    response = connection.getresponse()
    assert json.loads(response.readline())["answer"]["label"] == "NORMAL"
    connection.send(chunk(part(PNEUMONIA_LIKE).removeprefix(BOUNDARY) + b"--b--\r\n"))
    connection.send(chunk(b""))
    assert json.loads(response.readline())["answer"]["label"] == "PNEUMONIA"
    assert response.read() == b""
    connection.close()


def chunk(content: bytes) -> bytes:
    """A chunk of a body whose length is not announced (RFC 9112, section 7.1)."""
    return b"%x\r\n%s\r\n" % (len(content), content)


def test_a_batch_is_far_larger_than_the_memory_for_uploads(start: Start) -> None:
    """6.4 MB pass through 1 MB."""
    client = start(body_budget=1_000_000, body_limit=150_000)
    padded = PNEUMONIA_LIKE + bytes(100_000 - len(PNEUMONIA_LIKE))
    lines = send(client, *[padded] * 64)
    assert [slug(line) for line in lines] == [None] * 64


def test_a_file_larger_than_the_memory_for_uploads_is_one_bad_line(start: Start) -> None:
    """It would wait for the memory that its own dropped bytes take."""
    client = start(body_budget=1_000_000, body_limit=150_000, answer_seconds=5)
    files = [NORMAL_LIKE, bytes(3_000_000), PNEUMONIA_LIKE]
    assert [slug(line) for line in send(client, *files)] == [None, "upload-too-large", None]


def test_files_at_the_limit_pass_through_the_least_memory_that_may_be_set(start: Start) -> None:
    client = start(body_budget=2**21, body_limit=2**20, answer_seconds=5)
    padded = PNEUMONIA_LIKE + bytes(2**20 - len(PNEUMONIA_LIKE))
    assert [slug(line) for line in send(client, *[padded] * 4)] == [None] * 4


def test_what_is_dropped_of_a_batch_holds_no_memory(start: Start) -> None:
    """A file that is too large, and what comes after the form's end."""
    client = start(body_limit=50_000, body_budget=1_000_000)
    with batch_under_way(client, part(bytes(200_000))[:-2]) as connected:
        time.sleep(0.2)
        wait_until(lambda: "xray_upload_bytes 0.0" in client.get("/metrics").text, 5)
        connected.sendall(b"\r\n--b--\r\n" + bytes(200_000))
        time.sleep(0.2)
        wait_until(lambda: "xray_upload_bytes 0.0" in client.get("/metrics").text, 5)


def test_a_batch_that_falls_silent_is_cut_off(start: Start) -> None:
    """What has arrived of it allows for a minute at the minimum rate."""
    client = start(upload_grace_seconds=0.3, header_seconds=1)
    large = part(NORMAL_LIKE) + part(bytes(250_000))[:-2]
    with batch_under_way(client, large) as connected, connected.makefile("rb") as answer:
        lines = [line for line in answer if line.startswith(b"{")]
    assert [slug(BatchLine.model_validate_json(line)) for line in lines] == [
        None,
        "upload-too-slow",
    ]
    wait_until(lambda: "xray_upload_bytes 0.0" in client.get("/metrics").text, 5)


@pytest.mark.parametrize("whole", [True, False], ids=["after the upload", "during the upload"])
def test_nothing_is_screened_for_a_caller_who_hung_up(
    start: Start, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    free, screened = hold_up_screening(monkeypatch)
    client = start(cores=1)
    body = part(NORMAL_LIKE) * 2 + (b"--b--\r\n" if whole else BOUNDARY)
    head = (
        "POST /predict/batch HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b"
    )
    try:
        with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as connected:
            length = len(body) + (0 if whole else 100)
            connected.sendall(f"{head}\r\nContent-Length: {length}\r\n\r\n".encode() + body)
            wait_until(lambda: bool(screened))
            time.sleep(0.1)
        wait_until(lambda: "xray_upload_bytes 0.0" in client.get("/metrics").text, 10)
    finally:
        free.set()
    assert client.post("/predict", content=NORMAL_LIKE).status_code == 200
    assert len(screened) == 2, "the first of the batch, and this one"


def test_a_caller_who_goes_between_two_lines_leaves_nothing_behind(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    screened: list[int] = []

    def wait_and_decode(image: OpenedImage) -> NDArray[np.uint8]:
        screened.append(1)
        if len(screened) > 1:
            free.wait(30)
        return decode(image)

    decode = OpenedImage.decode
    monkeypatch.setattr(OpenedImage, "decode", wait_and_decode)
    client = start(cores=1)
    body = part(NORMAL_LIKE) * 20 + b"--b--\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port, timeout=30)
    connection.request("POST", "/predict/batch", body, HEADERS)
    response = connection.getresponse()
    assert json.loads(response.readline())["answer"]["label"] == "NORMAL"
    wait_until(lambda: len(screened) == 2)
    response.close()
    connection.close()
    wait_until(lambda: "xray_upload_bytes 0.0" in client.get("/metrics").text)
    free.set()
    for name in ("xray_queue_depth", "xray_running", "xray_decoded_bytes"):
        wait_until(lambda name=name: f"{name} 0.0" in client.get("/metrics").text)  # type: ignore[misc]
    assert len(screened) == 2


def test_an_image_keeps_its_place_while_it_waits_and_is_worked_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, _ = hold_up_screening(monkeypatch)
    monkeypatch.setattr(worker_pool, "DAWDLING_SECONDS", 0.05)
    client = start(cores=1)
    try:
        with batch_under_way(client, part(NORMAL_LIKE) * 2 + BOUNDARY):
            wait_until(lambda: "xray_running 1.0" in client.get("/metrics").text)
            time.sleep(0.2)
            assert "xray_queue_depth 1.0" in client.get("/metrics").text
    finally:
        free.set()


def test_batches_are_bounded_and_leave_room_for_single_images(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, _ = hold_up_screening(monkeypatch)
    monkeypatch.setattr(worker_pool, "BATCHES_A_CORE", 2)
    client = start(cores=1, queue=4)
    files = part(NORMAL_LIKE) * 6
    try:
        with ExitStack() as batches:
            for _ in range(2):
                batches.enter_context(batch_under_way(client, files + BOUNDARY))
            wait_until(lambda: "xray_queue_depth 1.0" in client.get("/metrics").text)
            time.sleep(0.2)
            metrics = client.get("/metrics").text
            assert "xray_running 1.0" in metrics
            assert "xray_queue_depth 1.0" in metrics, "of both batches, where 4 may wait"
            unread = batches.enter_context(batch_under_way(client, b""))
            refusal = unread.recv(10_000).decode()
            assert refusal.startswith("HTTP/1.1 503")
            assert "retry-after: 5" in refusal.lower()
    finally:
        free.set()
    wait_until(lambda: "xray_upload_bytes 0.0" in client.get("/metrics").text)
    assert [slug(line) for line in send(client, *[NORMAL_LIKE] * 4)] == [None] * 4


def logged(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The log line of the batch, which comes a little after its answer."""

    def lines() -> list[dict[str, Any]]:
        facts = [vars(record) for record in caplog.records]
        return [line for line in facts if line.get("route") == "/predict/batch"]

    wait_until(lambda: bool(lines()))
    return lines()[0]


def test_the_log_tells_what_became_of_a_batch(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="service"):
        send(client, NORMAL_LIKE, b"text", PNEUMONIA_LIKE, NORMAL_LIKE)
        line = logged(caplog)
    assert (line["outcome"], line["answered"], line["failed"]) == ("answered", 3, 1)
    assert line["model"]


def test_the_log_tells_why_a_batch_broke_off(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="service"):
        body = part(NORMAL_LIKE) + part(PNEUMONIA_LIKE)[:200]
        client.post("/predict/batch", content=body, headers=HEADERS)
        line = logged(caplog)
    assert (line["outcome"], line["answered"], line["failed"]) == ("malformed-upload", 1, 1)


def test_an_image_on_which_the_service_fails_is_a_bad_line_and_logged(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_on_one(model: ServedModel, image: bytes, *rest: Any) -> Screening:
        if image == PNEUMONIA_LIKE:
            raise NetworkInvalid("the network answered with numbers that are not finite")
        return screen(model, image, *rest)

    monkeypatch.setattr(image_upload, "screen", fail_on_one)
    lines = send(start(), NORMAL_LIKE, PNEUMONIA_LIKE, NORMAL_LIKE)
    assert [slug(line) for line in lines] == [None, "internal-error", None]
    failure = next(record for record in caplog.records if record.exc_info)
    assert failure.exc_info is not None
    assert failure.exc_info[0] is NetworkInvalid
    assert lines[1].problem is not None
    assert vars(failure)["request_id"] == lines[1].problem.request_id


def test_lines_that_cannot_be_sent_end_the_batch() -> None:
    ended: list[bool] = []

    async def lines() -> AsyncGenerator[Line]:
        try:
            yield {"index": 0}
            yield {"index": 1}
        finally:
            ended.append(True)

    async def run() -> None:
        async def send(message: Message) -> None:
            if b"1" in message.get("body", b""):
                raise OSError

        async def receive() -> Message:
            raise AssertionError("nothing is to be received")

        rest = lines()
        answer = LineByLine(await anext(rest), rest)
        with pytest.raises(OSError):
            await answer({"type": "http"}, receive, send)
        assert ended

    asyncio.run(run())


def test_a_failure_that_nobody_foresaw_ends_the_request(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RecursionError("in the reader")

    monkeypatch.setattr(FormReader, "feed", fail)
    response = start().post("/predict/batch", files={"file": NORMAL_LIKE}, timeout=10)
    expect(response, 500, "internal-error")
