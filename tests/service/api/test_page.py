"""The page over HTTP: what a browser may keep, what it is told, what the form answers."""

import asyncio
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api import page
from service.web import rendering
from service.web.assets import Asset, build, static_files
from service.web.rendering import About, blank_page
from tests.e2e.page import model
from tests.e2e.process import PATIENCE, serving
from tests.service.conftest import Start


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a running service, with a model loaded."""
    models = tmp_path_factory.mktemp("models")
    model.publish_page_model(models)
    with serving(models) as url, httpx.Client(base_url=url, timeout=PATIENCE) as client:
        yield client


def _files(html: str) -> list[str]:
    return re.findall(r'(?:src|href)="(static/[^"]+)"', html)


def test_the_page_names_files_that_exist(client: httpx.Client) -> None:
    files = _files(client.get("/").text)
    assert len(files) > 10
    for file in files:
        assert client.get(file).status_code == 200, file


def test_every_module_is_preloaded(client: httpx.Client) -> None:
    html = client.get("/").text
    for name in static_files():
        if name.endswith(".js"):
            assert f'modulepreload" href="static/{build()}/{name}"' in html


def test_files_of_this_build_may_be_kept_for_good(client: httpx.Client) -> None:
    file = f"static/{build()}/page.css"
    answer = client.get(file)
    assert "immutable" in answer.headers["cache-control"]
    again = client.get(file, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_files_of_another_build_are_asked_for_again(client: httpx.Client) -> None:
    assert client.get("static/0123456789ab/page.css").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["x.css", "../page.html", "..%2f..%2fsettings.py", "scripts", "", "rendering.py", "page.html"],
)
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    answer = client.get(f"static/{build()}/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_compression_is_for_who_takes_it(client: httpx.Client) -> None:
    file = f"static/{build()}/scripts/main.js"
    plain = client.get(file, headers={"Accept-Encoding": "identity"})
    with client.stream("GET", file, headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    assert "content-encoding" not in plain.headers
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == plain.content
    assert "Accept-Encoding" in answer.headers["vary"]


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZip ; q=0.5", True),
        ("*", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("br;q=1.0, identity", False),
        ("notgzip", False),
        ("", False),
    ],
)
def test_gzip_is_sent_where_it_has_a_weight(
    client: httpx.Client, accepted: str, packed: bool
) -> None:
    answer = client.get("/", headers={"Accept-Encoding": accepted})
    assert ("content-encoding" in answer.headers) == packed
    assert answer.text.startswith("<!doctype html>")


def test_other_bytes_have_another_etag(client: httpx.Client) -> None:
    """A strong one names bytes, not what they unpack to (RFC 9110, section 8.8.3.3)."""
    packed, plain = ({"Accept-Encoding": coding} for coding in ("gzip", "identity"))
    etag = client.get("/", headers=packed).headers["etag"]
    assert etag != client.get("/", headers=plain).headers["etag"]
    again = client.get("/", headers=packed | {"If-None-Match": f'"x", W/{etag}'})
    assert (again.status_code, again.headers["etag"]) == (304, etag)
    assert client.get("/", headers=plain | {"If-None-Match": etag}).status_code == 200


def test_the_page_is_asked_for_again_and_often_unchanged(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.headers["cache-control"] == "no-cache"
    assert "Accept-Language" in answer.headers["vary"]
    etag = answer.headers["etag"]
    assert client.get("/", headers={"If-None-Match": etag}).status_code == 304
    other = client.get("/", headers={"If-None-Match": etag, "Accept-Language": "hi"})
    assert other.status_code == 200


def test_the_language_follows_address_then_cookie_then_browser(client: httpx.Client) -> None:
    def language(address: str, **headers: str) -> str:
        found = re.search(
            r'<html lang="([^"]+)" dir="([^"]+)"', client.get(address, headers=headers).text
        )
        assert found
        return found[1]

    assert language("/", **{"Accept-Language": "ur"}) == "ur"
    assert language("/", **{"Accept-Language": "ur", "Cookie": "lang=bn"}) == "bn"
    assert language("/?lang=id", Cookie="lang=bn") == "id"


def test_a_chosen_language_is_remembered(client: httpx.Client) -> None:
    cookie = client.get("/?lang=ha").headers["set-cookie"]
    assert cookie.startswith("lang=ha; ")
    assert "SameSite=lax" in cookie
    assert "set-cookie" not in client.get("/?lang=nonsense").headers
    client.cookies.clear()


def test_every_language_fits_on_a_thin_wire(client: httpx.Client) -> None:
    files = static_files()
    shared = sum(len(f.compressed) for name, f in files.items() if not name.startswith("locales/"))
    for name, file in files.items():
        if name.startswith("locales/"):
            tag = name.removeprefix("locales/").removesuffix(".json")
            with client.stream("GET", f"/?lang={tag}", headers={"Accept-Encoding": "gzip"}) as page:
                html = b"".join(page.iter_raw())
            assert shared + len(file.compressed) + len(html) < 45_000, tag
    client.cookies.clear()


def test_the_policy_is_strict(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    html = client.get("/").text
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", html)
    scripts = re.findall(r"<script([^>]*)>", html)
    assert all("src=" in script or "application/json" in script for script in scripts)


@pytest.mark.parametrize("outcome", model.OPACITIES)
def test_the_form_answers_with_a_page(client: httpx.Client, outcome: str) -> None:
    files = {"file": ("x.png", model.encoded(model.xray(outcome)), "image/png")}
    answer = client.post("/", files=files)
    assert answer.status_code == 200
    assert f'<div class="card {outcome}">' in answer.text
    assert "data:image/jpeg;base64," in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_the_form_says_what_is_wrong(client: httpx.Client) -> None:
    answer = client.post("/?lang=es", files={"file": ("x.png", b"no picture", "image/png")})
    assert answer.status_code == 415
    assert "No es una imagen que se pueda leer" in answer.text
    assert "text/html" in answer.headers["content-type"]


def test_the_name_of_a_file_is_not_repeated(client: httpx.Client) -> None:
    name = "<b>Amina</b>.png"
    files = {"file": (name, model.encoded(model.xray()), "image/png")}
    assert "Amina" not in client.post("/", files=files).text


def test_the_figures_of_the_model_are_in_the_page(client: httpx.Client) -> None:
    html = client.get("/", headers={"Accept-Language": "en"}).text
    assert "96.4%" in html
    assert "85.7%" in html
    assert "Measured on test images" in html
    assert "test: no images, a model for tests" in html


def test_the_figures_are_shown_where_a_key_is_asked_too(start: Start, tmp_path: Path) -> None:
    model.publish_page_model(tmp_path)
    assert "96.4%" in start(models=tmp_path, api_keys=("key",)).get("/?lang=en").text


def test_the_answer_is_drawn_beside_what_else_is_served(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bool] = []

    def drawing(*arguments: Any, **outcome: Any) -> Asset:
        with pytest.raises(RuntimeError):  # as there is no loop that would stand still
            asyncio.get_running_loop()
        drawn.append(True)
        return rendering.page(*arguments, **outcome)

    monkeypatch.setattr(page, "page", drawing)
    client = start()
    for image in (model.encoded(model.xray()), b"no picture"):
        assert "<html" in client.post("/", files={"file": ("x.png", image)}).text
    assert drawn == [True, True]


def test_the_page_does_not_wait_for_a_model() -> None:
    html = blank_page("en", About(2**24, key_asked=False, figures=None)).body.decode()
    assert "<h1" in html
    assert 'class="figure"' not in html


def test_under_a_prefix_all_addresses_stay_relative(client: httpx.Client) -> None:
    html = client.get("/").text
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', html)
    assert [address for address in addresses if address.startswith(("/", "http"))] == []


def test_no_file_of_the_page_names_a_host() -> None:
    for name, file in static_files().items():
        hosts = set(re.findall(rb"https?://[\w.-]+", file.body))
        assert hosts <= {b"http://www.w3.org"}, name


def test_python_is_not_among_the_files() -> None:
    assert {Path(name).suffix for name in static_files()} == {".js", ".css", ".json", ".svg"}
