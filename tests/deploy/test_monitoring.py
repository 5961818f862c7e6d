"""The alert rules and the dashboard, tried with Prometheus, and against what the service tells.

Skipped where Prometheus is not installed, unless CI is set; Debian's package is `prometheus`.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import ROOT
from tests.e2e.process import free_port, launched, program
from tests.service.conftest import wait_until
from tests.service.tiny_bundle import NORMAL_LIKE, publish_tiny

FOLDER = ROOT / "deploy" / "monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
ALERTS = [rule for group in RULES for rule in group["rules"] if "alert" in rule]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TESTS = ("alerts_test.yml", "drift_test.yml")


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("promtool"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def queries() -> list[str]:
    """All that the dashboard asks, as Grafana sends it."""
    asked = [target["expr"] for panel in PANELS for target in panel["targets"]]
    asked += [annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]]
    return [expr.replace("$__rate_interval", "5m").replace("$job", ".*") for expr in asked]


@pytest.mark.parametrize("name", TESTS)
def test_the_rules_pass_their_tests(name: str) -> None:
    done = promtool("test", "rules", name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", TESTS)
def test_the_tests_of_the_rules_miss_an_alert_that_is_silent(name: str, tmp_path: Path) -> None:
    shutil.copy(FOLDER / name, tmp_path)
    silent = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))
    for group in silent["groups"]:
        group["rules"] = [rule for rule in group["rules"] if "record" in rule]
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(silent))
    done = promtool("test", "rules", name, folder=tmp_path)
    assert done.returncode == 1
    text = (FOLDER / name).read_text("utf-8")
    expected = {rule["alert"] for rule in ALERTS if f'"{rule["alert"]}"' in text}
    assert expected
    assert expected == {alert for alert in expected if alert in done.stdout + done.stderr}


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    tested = "".join((FOLDER / name).read_text("utf-8") for name in TESTS)
    for rule in ALERTS:
        assert f'"{rule["alert"]}"' in tested
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_prometheus_takes_the_configuration() -> None:
    done = promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_whole() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        assert max(x for x, _ in cells) < 24
        taken |= cells
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS))) - {"__rate_interval"}
    assert used == variables


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a service tells that was just started."""
    models = tmp_path_factory.mktemp("models")
    publish_tiny(models)
    with launched(models) as service:
        return httpx.get(f"{service.url}metrics").text


def test_rules_and_dashboard_ask_for_what_there_is(metrics: str) -> None:
    """Their names are the service's metrics, or what the rules record."""
    known = set(re.findall(r"^# TYPE (\w+)", metrics, re.M)) | {"xray_model_share"}
    known |= {f"{name}_bucket" for name in known}
    known |= {rule["record"] for group in RULES for rule in group["rules"] if "record" in rule}
    asked = " ".join([*queries(), *(rule["expr"] for group in RULES for rule in group["rules"])])
    names = set(re.findall(r"\b(?:xray|process)[_:][\w:]+", asked))
    assert len(names) > 10
    assert names <= known


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Debian's Prometheus with the shipped configuration, before a service that asks for keys."""
    server = program("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    publish_tiny(folder / "models")
    shutil.copy(FOLDER / "alerts.yml", folder)
    (folder / "key").write_text("secret")
    with launched(folder / "models", api_keys="secret") as service:
        httpx.post(f"{service.url}predict", content=NORMAL_LIKE, headers={"X-API-Key": "secret"})
        text = (FOLDER / "prometheus.yml").read_text("utf-8")
        for old, new in {
            "127.0.0.1:8000": service.url.removeprefix("http://").rstrip("/"),
            "interval: 15s": "interval: 1s",
            "# authorization:": "authorization:",
        }.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "prometheus.yml").write_text(text)
        port = free_port()
        log = (folder / "log").open("w")
        options = ["--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        process = subprocess.Popen(
            [server, *options, f"--web.listen-address=127.0.0.1:{port}"],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

                def ready() -> bool:
                    assert process.poll() is None, (folder / "log").read_text()
                    try:
                        return ask(client, "xray_ready") != []
                    except httpx.TransportError:
                        return False

                wait_until(ready, 60)
                yield client
        finally:
            process.terminate()
            process.wait(30)
            log.close()


def ask(prometheus: httpx.Client, query: str) -> list[Any]:
    answer = prometheus.get("/api/v1/query", params={"query": query})
    if answer.status_code == 503:  # it starts
        return []
    told = answer.json()
    assert told["status"] == "success", f"{query}: {told}"
    return list(told["data"]["result"])


def test_prometheus_scrapes_the_service(prometheus: httpx.Client) -> None:
    (ready,) = ask(prometheus, "xray_ready")
    assert (ready["metric"]["job"], ready["value"][1]) == ("chest-xray", "1")
    (answered,) = ask(prometheus, 'xray_screenings_total{label="NORMAL"}')
    assert answered["value"][1] == "1"


def test_prometheus_evaluates_every_rule(prometheus: httpx.Client) -> None:
    def rules() -> list[Any]:
        groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    wait_until(lambda: {rule["health"] for rule in rules()} != {"unknown"})
    assert len(rules()) == sum(len(group["rules"]) for group in RULES)
    assert [rule for rule in rules() if rule["health"] == "err"] == []
    assert [rule["name"] for rule in rules() if rule.get("state") == "firing"] == []


def test_prometheus_understands_what_the_dashboard_asks(prometheus: httpx.Client) -> None:
    for query in queries():
        ask(prometheus, query)
    assert ask(prometheus, queries()[0])[0]["value"][1] == "1"


def test_prometheus_finds_no_metric_that_breaks_its_rules(metrics: str) -> None:
    """Names, units and help texts, as Prometheus' makers advise."""
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=metrics,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
