"""What a request brought is out of memory when it has ended, not when the garbage is collected."""

import gc
import weakref
from collections.abc import Callable, Iterator

import httpx
import pytest

from service.http.upload import Upload
from service.runtime.upload_memory import Loan
from tests.service.conftest import Start, wait_until
from tests.service.http.connections import ALIVE, HEAD, LENGTH, connection
from tests.service.tiny_bundle import NORMAL_LIKE

FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'


def hang_up(client: httpx.Client, request: bytes) -> None:
    with connection(client) as connected:
        connected.sendall(request)


def files(*contents: bytes) -> list[tuple[str, bytes]]:
    return [("file", content) for content in contents]


REQUESTS: dict[str, Callable[[httpx.Client], object]] = {
    "answered": lambda client: client.post("/predict", content=NORMAL_LIKE),
    "no image": lambda client: client.post("/predict", content=b"text"),
    "no image, as curl -d sends it": lambda client: client.post("/predict", data={"text": "x"}),
    "form": lambda client: client.post("/predict", files=files(NORMAL_LIKE)),
    "form without an image": lambda client: client.post("/predict", files=files(b"text")),
    "form of two": lambda client: client.post("/predict", files=files(b"text", b"text")),
    "form cut off": lambda client: client.post("/predict", content=PART, headers=FORM),
    "page": lambda client: client.post("/", files=files(b"text")),
    "overlay": lambda client: client.post("/explain", content=NORMAL_LIKE[:300]),
    "hang-up": lambda client: hang_up(client, HEAD + LENGTH + b"\r\n" + NORMAL_LIKE[:100]),
    "pipelined": lambda client: hang_up(
        client, (HEAD + LENGTH + b"\r\n" + NORMAL_LIKE) * 3 + ALIVE
    ),
}


@pytest.fixture
def living(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[object]]]:
    """Which objects that hold uploads were made, and live on without garbage collection."""
    made: list[weakref.ref[object]] = []

    def watch(kind: type) -> None:
        initialise = kind.__init__  # type: ignore[misc]

        def initialise_watched(self: object, *arguments: object, **named: object) -> None:
            made.append(weakref.ref(self))
            initialise(self, *arguments, **named)

        monkeypatch.setattr(kind, "__init__", initialise_watched)

    for kind in (Upload, Loan):
        watch(kind)
    gc.collect()
    gc.disable()
    yield lambda: [thing() for thing in made if thing() is not None] if made else [None]
    gc.enable()


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
def test_what_a_request_brought_is_let_go_of(
    start: Start,
    living: Callable[[], list[object]],
    request_: Callable[[httpx.Client], object],
) -> None:
    client = start()
    for _ in range(2):
        request_(client)
    wait_until(lambda: not living(), 5)
