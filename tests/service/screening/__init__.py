"""Tests of `service.screening`."""
