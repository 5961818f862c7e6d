"""The image's health check, run as Docker runs it."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.service.conftest import Start


@pytest.mark.parametrize("prefix", ["", "/xray", "/xray/"])
def test_the_service_is_healthy_under_every_prefix(start: Start, prefix: str) -> None:
    dockerfile = (ROOT / "Dockerfile.service").read_text("utf-8")
    found = re.search(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert found
    python, *arguments = json.loads(found[1])
    assert python == "python"
    client = start(root_path=prefix.rstrip("/"))
    port = str(client.base_url.port)
    environment = os.environ | {"XRAY_PORT": port, "XRAY_ROOT_PATH": prefix}
    subprocess.run([sys.executable, *arguments], check=True, env=environment, timeout=60)
