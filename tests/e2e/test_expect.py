"""Clients that ask before they send (`Expect: 100-continue`), and are refused: curl and Go."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.process import serving
from tests.service.tiny_bundle import NORMAL_LIKE, publish_tiny

# Four requests over what may be one connection; those without a key are refused before the body.
GO = r"""package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	image, _ := os.ReadFile(os.Args[2])
	transport := &http.Transport{ExpectContinueTimeout: 5 * time.Second}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	for _, key := range []string{"", "key", "", "key", ""} {
		request, _ := http.NewRequest("POST", os.Args[1]+"predict", bytes.NewReader(image))
		request.Header.Set("Expect", "100-continue")
		if key != "" {
			request.Header.Set("X-API-Key", key)
		}
		response, err := client.Do(request)
		if err != nil {
			fmt.Println(err)
			continue
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode)
	}
}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that asks for a key."""
    models = tmp_path_factory.mktemp("models")
    publish_tiny(models)
    with serving(models, api_keys="key", body_limit=100_000) as url:
        yield url


def output(*command: str, seconds: int = 60) -> list[str]:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("form", [False, True])
def test_curl_reads_the_refusal_and_goes_on(url: str, tmp_path: Path, form: bool) -> None:
    image, large = tmp_path / "x.png", tmp_path / "large"
    image.write_bytes(NORMAL_LIKE)
    large.write_bytes(bytes(300_000))
    body = ("-F", "file=@{}") if form else ("--data-binary", "@{}")
    command = ["curl", "--silent", "--show-error"]
    for file, key in ((image, "no"), (large, "key"), (image, "key"), (large, "no"), (image, "key")):
        sent = [word.format(file) for word in body]
        headers = ["-H", "Expect: 100-continue", "-H", f"X-API-Key: {key}"]
        shown = ["-o", "-", "-w", "\n%{http_code} %{time_total}\n", f"{url}predict"]
        command += [*headers, *sent, *shown, "--next", "--silent", "--show-error"]
    lines = output(*command[: -len(["--next", "--silent", "--show-error"])])
    answers = [json.loads(line) for line in lines[::2]]
    told = [answer.get("type", answer.get("label")).rpartition(":")[2] for answer in answers]
    assert told == ["key-required", "upload-too-large", "NORMAL", "key-required", "NORMAL"]
    assert [line.split()[0] for line in lines[1::2]] == ["401", "413", "200", "401", "200"]
    assert max(float(line.split()[1]) for line in lines[1::2]) < 5, "none waited for a body"


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
def test_go_reads_the_refusal_and_goes_on(url: str, tmp_path: Path) -> None:
    """Before Go 1.21.12, its next request was swallowed as the body (CVE-2024-24791)."""
    (tmp_path / "x.png").write_bytes(NORMAL_LIKE)
    (tmp_path / "main.go").write_text(GO)
    program = str(tmp_path / "main")
    output("go", "build", "-o", program, str(tmp_path / "main.go"), seconds=300)
    lines = output(program, url, str(tmp_path / "x.png"), seconds=180)
    assert lines == ["401", "200", "401", "200", "401"]
