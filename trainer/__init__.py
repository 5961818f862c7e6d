"""Turns folders of chest X-rays into a published model bundle and a report."""
