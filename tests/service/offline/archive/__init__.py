"""Tests of `service.offline`."""
