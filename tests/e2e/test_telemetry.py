"""ONNX Runtime keeps no records to send: it writes them to a folder of the user as it does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

_SERVICE = """
from shared.onnx_network import OnnxNetwork
from shared.network import warm_up
warm_up(OnnxNetwork(Path("models/default/model.onnx")), heads=4)
"""
_TRAINER = """
from trainer.model.inference import predict
predict(Path("models/default/model.onnx"), np.zeros((1, 224, 224), np.uint8))
"""


@pytest.mark.parametrize("runs_the_network", [_SERVICE, _TRAINER], ids=["service", "trainer"])
def test_running_the_network_leaves_nothing_in_the_users_folder(
    tmp_path: Path, runs_the_network: str
) -> None:
    subprocess.run(
        [sys.executable, "-c", f"from pathlib import Path\nimport numpy as np\n{runs_the_network}"],
        cwd=ROOT,
        # Nothing else: it reports nothing under continuous integration, which it knows by these.
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        check=True,
        timeout=300,
    )
    assert list(tmp_path.rglob("*")) == []
