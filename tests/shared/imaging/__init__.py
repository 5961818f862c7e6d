"""Tests of `shared.imaging`."""
