"""Turns folders of chest X-rays into a published model bundle and a report."""

import os

# ONNX Runtime reports to its maker from the moment it is imported, unless this is set before.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
