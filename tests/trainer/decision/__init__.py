"""Tests of `trainer.decision`."""
