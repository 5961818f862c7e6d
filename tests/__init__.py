"""Tests; the folders mirror the packages, `e2e` drives real servers, browsers and containers."""
