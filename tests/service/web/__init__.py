"""Tests of the page (`service/web`)."""
