"""The OpenAPI document: complete, true, and readable without a network."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from jsonschema_rs import validator_for

from service.answers import ANSWER, Answer
from service.problems import PROBLEMS, TYPE_PREFIX
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE

NOT_OF_ONE_ROUTE = {
    "malformed-request",
    "headers-too-large",
    "origin-not-allowed",
    "not-found",
    "method-not-allowed",
}
"""Problems that come before a route is found."""

IN_A_LINE = {"too-many-files"}
"""Problems that only a line of a batch tells."""


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/openapi.json").json())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def examples(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Every example of a problem."""
    return [
        example["value"]
        for _, _, operation in operations(document)
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        for example in content.get("examples", {}).values()
    ]


def test_every_problem_has_an_example(document: dict[str, Any]) -> None:
    shown = {example["type"].removeprefix(TYPE_PREFIX) for example in examples(document)}
    keyed = {"key-required"}  # documented where keys are set: tests/service/test_keys.py
    assert shown == {kind.slug for kind in PROBLEMS} - NOT_OF_ONE_ROUTE - IN_A_LINE - keyed


def test_examples_fit_the_schemas(document: dict[str, Any]) -> None:
    validate = validator_for(
        {"$ref": "#/components/schemas/ProblemAnswer", "components": document["components"]}
    )
    for example in examples(document):
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


def test_every_answer_may_carry_a_request_id(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        assert "X-Request-ID" in [parameter["name"] for parameter in operation["parameters"]]
        for answer in operation["responses"].values():
            assert "X-Request-ID" in answer["headers"]


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
