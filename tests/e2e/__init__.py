"""Tests from the outside: real servers, a real browser, real containers."""
