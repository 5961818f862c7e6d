"""What a bundle says of how its network came about."""

from pathlib import Path

import numpy as np

from shared.bundle.manifest import Data
from trainer.config.options import Options
from trainer.config.recipe import Recipe
from trainer.data.audit import audit
from trainer.data.dataset import Split
from trainer.data.preparation import Prepared
from trainer.runs.publish import training_record
from trainer.runs.request import Request


def test_a_network_beside_is_not_asked_about_machines_that_it_may_have_seen() -> None:
    images = np.zeros((4, 224, 224), np.uint8)
    names = [f"train/person{i}" for i in range(4)]
    split = Split(images, np.array([0, 1, 1, 1]), np.full(4, -1), names, names)
    machines = np.array([False, False, True, True])
    found = audit({"train": split}, 0, [])
    prepared = Prepared({"train": split}, [], machines, ~machines, found, Data())
    request = Request(
        models=Path(), work=Path(), data=Path(), recipe=Recipe(sizes="64"), options=Options()
    )
    beside, new = [[9.0, 0.0]] * 4, [[-3.0, 0.0], [1.0, 0.0], [5.0, 0.0], [5.0, 0.0]]
    record = {
        "out_of_fold": [beside, new],
        "machines": [[[0.5, 0.0], [-0.5, 0.0]]],
        "beside": {"version": "of before", "networks": 1},
        "seconds": 1.0,
        "onnx_difference": 0.0,
    }
    said = training_record(request, prepared, record, [])
    assert said["beside"] == record["beside"]
    assert said["machines"] == {"images": 2, "found": 0.5, "mean_logit": 0.0, "others": 1.0}
