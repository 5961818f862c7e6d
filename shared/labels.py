"""The classes, once, in the order in which every output, file and answer lists them."""

from typing import Final

NORMAL: Final = "NORMAL"
PNEUMONIA: Final = "PNEUMONIA"
LABELS: Final = (NORMAL, PNEUMONIA)
"""Index 0 and 1 of a label; also the names of the class folders of the data."""

BACTERIAL: Final = "BACTERIAL"
VIRAL: Final = "VIRAL"
"""The causes of pneumonia that an answer can name."""
