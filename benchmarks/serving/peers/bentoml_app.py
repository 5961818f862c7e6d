"""BentoML with ONNX Runtime, two workers.

Usage: MODEL=model.onnx bentoml serve bentoml_app:Screening
"""

import os
from typing import Any

import bentoml
import numpy as np
import onnxruntime
from PIL.Image import Image


@bentoml.service(workers=2)
class Screening:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name

    @bentoml.api
    def predict(self, file: Image) -> dict[str, Any]:
        image = file.convert("L").resize((224, 224))
        batch = np.asarray(image, np.float32)[None, ..., None] / 255
        logits = self.session.run(["logits"], {self.input: batch})[0]
        probability = float(1 / (1 + np.exp(-logits[0, 0])))
        label = "PNEUMONIA" if probability >= 0.5 else "NORMAL"
        return {"label": label, "probability": probability}
