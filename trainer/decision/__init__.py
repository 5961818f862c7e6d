"""From logits to answers: calibration, operating point, and both as one."""
