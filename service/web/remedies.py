"""Which help the page gives with which problem: the key after `help.` in the language files."""

from collections.abc import Mapping
from typing import Final

OTHER: Final = "other"

REMEDIES: Final[Mapping[str, str]] = {
    "offline": "offline",
    "no-file": "no-file",
    "several-files": "several-files",
    "empty-file": "empty-file",
    "key-required": "key-required",
    "upload-too-slow": "smaller",
    "upload-too-large": "smaller",
    "image-too-large": "smaller",
    "image-too-costly": "smaller",
    "unsupported-format": "export",
    "dicom": "dicom",
    "animated-image": "animated-image",
    "truncated-image": "damaged",
    "corrupt-image": "damaged",
    "image-too-small": "image-too-small",
    "not-a-chest-xray": "not-a-chest-xray",
    "overloaded": "wait",
    "not-ready": "wait",
    "took-too-long": "wait",
    "internal-error": OTHER,
    "other": OTHER,
}
"""Problems that only a program can cause are not here: whoever runs the service has to be told."""
