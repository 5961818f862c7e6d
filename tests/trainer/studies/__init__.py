"""Tests of `trainer.studies`."""
