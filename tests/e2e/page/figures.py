"""What the tests of the page measured; `make test` prints these lines at its end."""

FIGURES: list[str] = []
