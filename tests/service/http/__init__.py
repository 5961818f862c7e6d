"""Tests of `service.http`."""
