"""Serves a model bundle over HTTP: one image in, one screening out."""

import os

# ONNX Runtime reports to its maker from the moment it is imported, unless this is set before.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
