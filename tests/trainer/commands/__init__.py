"""Tests of `trainer.commands`."""
