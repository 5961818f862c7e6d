"""Probes and metrics."""

import json
import urllib.error
import urllib.request
from typing import Any

from tests.gateway.conftest import Started
from tests.gateway.fake_service import FakeService
from tests.gateway.peers import FakeArchive, eventually, store
from tests.gateway.radiographs import radiograph


def ask(gateway: Any, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen("http://{}:{}{}".format(*gateway.health, path)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_running_gateway_lives_and_is_ready(start: Started) -> None:
    gateway = start()
    assert ask(gateway, "/livez")[0] == 200
    status, said = ask(gateway, "/readyz")
    assert (status, json.loads(said)["status"]) == (200, "ready")
    assert ask(gateway, "/other")[0] == 404


def test_a_full_disk_makes_it_not_ready(start: Started) -> None:
    status, said = ask(start(spool_reserve=1 << 60), "/readyz")
    assert status == 503
    assert "GATEWAY_SPOOL_RESERVE" in said


def test_it_says_that_the_service_is_away(start: Started) -> None:
    gateway = start(service="http://127.0.0.1:9/")
    store(gateway.dicom[1], radiograph())
    eventually(lambda: json.loads(ask(gateway, "/readyz")[1])["service"] == "away")
    assert ask(gateway, "/readyz")[0] == 200, "images are taken all the same"


def test_metrics_count_the_way_of_images(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    gateway = start()
    image = radiograph()
    store(gateway.dicom[1], image, image)
    archive.wait_for(2)
    eventually(lambda: "gateway_delivered_total 1.0" in ask(gateway, "/metrics")[1])
    text = ask(gateway, "/metrics")[1]
    for line in (
        'gateway_received_total{outcome="kept"} 1.0',
        'gateway_received_total{outcome="repeated"} 1.0',
        'gateway_screened_total{finding="present"} 1.0',
        'gateway_spool_images{stage="received"} 0.0',
        "gateway_spool_oldest_seconds 0.0",
    ):
        assert line in text
