"""What the trainer and the service must agree on: labels, decoding, preprocessing, the bundle."""

import os

# ONNX Runtime reports to its maker from the moment it is imported, unless this is set before.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
