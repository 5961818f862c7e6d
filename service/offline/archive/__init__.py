"""Screening of whole archives: a plan, parts of it with fixed names, and any number of workers."""
