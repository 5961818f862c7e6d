"""Measures the service against what a user would write instead; see `python -m benchmarks.serving
--help`."""

from benchmarks.serving.__main__ import main

main()
