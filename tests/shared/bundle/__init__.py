"""Tests of `shared.bundle`."""
