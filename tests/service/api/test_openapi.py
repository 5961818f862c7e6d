"""The OpenAPI document: complete, true, and readable without a network."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema_rs import validator_for

from service.api.schemas import ANSWER, Answer
from service.inference.model_watcher import Engine
from service.problems import PROBLEMS, TYPE_PREFIX
from tests.service.api.test_refusals import REFUSED, WRONG_FORMS
from tests.service.conftest import Start
from tests.service.http.connections import answer, connection
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/openapi.json").json())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def examples(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The example of each problem, by its slug."""
    shown = document["components"]["examples"]
    return {slug: example["value"] for slug, example in shown.items()}


def test_every_problem_has_one_example(document: dict[str, Any]) -> None:
    told = {slug: example["type"] for slug, example in examples(document).items()}
    assert told == {slug: TYPE_PREFIX + slug for slug in PROBLEMS}


def hold_to_example(
    document: dict[str, Any], described: dict[str, Any], response: httpx.Response
) -> None:
    """Checks a problem against its example, and its headers against those that are described."""
    told = response.json()
    slug = told["type"].removeprefix(TYPE_PREFIX)
    shown = described["content"]["application/problem+json"]["examples"]
    assert shown[slug] == {"$ref": f"#/components/examples/{slug}"}
    alike_example(document, response)
    for header in described["headers"].keys() - {"Server-Timing"}:  # where there were any stages
        assert header in response.headers


def alike_example(document: dict[str, Any], response: httpx.Response) -> None:
    told = response.json()
    example = examples(document)[told["type"].removeprefix(TYPE_PREFIX)]
    assert told.keys() == example.keys()
    for member in ("type", "title", "status"):
        assert told[member] == example[member]
    assert told["status"] == response.status_code


CHEAP = [case for case in REFUSED if case[0] != "costly"]


@pytest.mark.parametrize("path", ["/predict", "/explain"])
@pytest.mark.parametrize(
    "request_with",
    [case[1] for case in WRONG_FORMS]
    + [{"files": {"file": ("x.jpeg", case[1]())}} for case in CHEAP],
    ids=[case[0] for case in (*WRONG_FORMS, *CHEAP)],
)
def test_a_real_problem_is_as_in_its_example(
    client: httpx.Client, document: dict[str, Any], path: str, request_with: dict[str, Any]
) -> None:
    response = client.post(path, **request_with)
    if path == "/explain" and "params" in request_with:  # it has none
        return
    described = document["paths"][path]["post"]["responses"][str(response.status_code)]
    hold_to_example(document, described, response)


@pytest.mark.parametrize("path", ["/readyz", "/model"])
def test_what_is_not_ready_is_as_in_its_example(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(Engine.__init__, "__defaults__", (tmp_path / "none",))
    client = start(ready=False, models=tmp_path)
    document = client.get("/openapi.json").json()
    described = document["paths"][path]["get"]["responses"]["503"]
    hold_to_example(document, described, client.get(path))


def test_addresses_are_below_the_prefix(start: Start) -> None:
    document = start(root_path="/xray").get("/openapi.json").json()
    assert document["servers"] == [{"url": "/xray"}]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
    ],
    ids=["no HTTP", "long header"],
)
def test_a_problem_of_every_address_is_as_in_its_example(
    client: httpx.Client, document: dict[str, Any], sent: bytes, status: int
) -> None:
    with connection(client) as connected:
        connected.sendall(sent)
        head, _, body = answer(connected).partition(b"\r\n\r\n")
    headers = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[1:]]
    response = httpx.Response(int(head.split()[1]), headers=headers, content=body)  # type: ignore[arg-type]
    assert response.status_code == status
    for _, _, operation in operations(document):
        hold_to_example(document, operation["responses"][str(status)], response)


@pytest.mark.parametrize(
    ("slug", "method", "path"),
    [
        ("not-found", "GET", "/nothing"),
        ("method-not-allowed", "GET", "/predict"),
        ("origin-not-allowed", "OPTIONS", "/predict"),
    ],
)
def test_a_problem_of_no_route_is_as_in_its_example(
    start: Start, slug: str, method: str, path: str
) -> None:
    client = start(cors_origins=("https://ward.example",))
    document = client.get("/openapi.json").json()
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    response = client.request(method, path, headers=asked)
    assert response.json()["type"] == TYPE_PREFIX + slug
    alike_example(document, response)


def test_examples_fit_the_schemas(document: dict[str, Any]) -> None:
    validate = validator_for(
        {"$ref": "#/components/schemas/ProblemAnswer", "components": document["components"]}
    )
    for example in examples(document).values():
        validate.validate(example)


def test_a_real_answer_has_the_shape_of_the_example(
    client: httpx.Client, document: dict[str, Any]
) -> None:
    shown = document["components"]["schemas"]["Answer"]["examples"]
    assert shown == [ANSWER]
    assert Answer.model_validate(ANSWER).model_dump() == ANSWER
    answer = client.post("/predict", content=PNEUMONIA_LIKE).json()
    assert kinds(answer) == kinds(ANSWER)


def kinds(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: kinds(member) for name, member in value.items()}
    return type(value).__name__


def test_every_answer_fits_its_schema(client: httpx.Client, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        files = {"file": NORMAL_LIKE} if method == "post" else None
        response = client.request(method, path, files=files)
        described = operation["responses"][str(response.status_code)]["content"]
        media_type = response.headers["content-type"].split(";")[0]
        assert media_type in described, path
        if media_type == "application/json":
            schema = described[media_type]["schema"] | {"components": document["components"]}
            validator_for(schema).validate(response.json())


def test_every_answer_carries_a_request_id(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        assert "X-Request-ID" in [parameter["name"] for parameter in operation["parameters"]]
        for described in operation["responses"].values():
            assert "X-Request-ID" in described["headers"]


class Sources(HTMLParser):
    """Collects what a page loads, and whether anything stands inline."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        source = given.get("src") or (given.get("href") if tag == "link" else None)
        if source:
            self.loaded.append(source)
        self.inline |= tag == "style" or (tag == "script" and "src" not in given)
        self.inline |= any(name == "style" or name.startswith("on") for name in given)


def test_the_interactive_page_needs_no_network_and_nothing_inline(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    sources = Sources()
    sources.feed(page.text)
    assert not sources.inline
    assert len(sources.loaded) == 4
    for source in sources.loaded:
        assert not re.match(r"[a-z]+:|//", source)
        assert client.get(f"/{source}").status_code == 200
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_other_files_of_the_documentation_do_not_exist(client: httpx.Client) -> None:
    assert client.get("/docs/redoc.standalone.js").status_code == 404
    assert client.get("/docs/..%2f..%2fsettings.py").status_code == 404
