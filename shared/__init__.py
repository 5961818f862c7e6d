"""What the trainer and the service must agree on: labels, decoding, preprocessing, the bundle."""
