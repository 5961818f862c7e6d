"""LitServe with ONNX Runtime, two workers. Usage: litserve_app.py MODEL.onnx PORT"""

import io
import sys

import litserve as ls
import numpy as np
import onnxruntime
from fastapi import Request
from PIL import Image


class Screening(ls.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            sys.argv[1], options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name

    def decode_request(self, request: Request):
        data = request["file"].file.read()
        image = Image.open(io.BytesIO(data)).convert("L").resize((224, 224))
        return np.asarray(image, np.float32)[None, ..., None] / 255

    def predict(self, batch):
        return self.session.run(["logits"], {self.input: batch})[0]

    def encode_response(self, logits):
        probability = float(1 / (1 + np.exp(-logits[0, 0])))
        label = "PNEUMONIA" if probability >= 0.5 else "NORMAL"
        return {"label": label, "probability": probability}


if __name__ == "__main__":
    api = Screening()
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=2, healthcheck_path="/readyz")
    server.run(port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
