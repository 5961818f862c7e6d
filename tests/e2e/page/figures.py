"""What the tests of the page measured; printed at the end of a run in one process."""

FIGURES: list[str] = []
