"""Bundles that were published before: to measure, to export anew."""

from pathlib import Path

from shared.bundle.store import MANIFEST_NAME, Bundle, BundleInvalid, current, open_bundle
from trainer.errors import TrainerError


def open_model(path: Path) -> Bundle:
    """Open a bundle, or the current bundle of a models folder.

    Raises:
        TrainerError: It is neither, or does not verify.
    """
    try:
        found = path if (path / MANIFEST_NAME).is_file() else current(path)
        if found is not None:
            return open_bundle(found)
    except BundleInvalid as error:
        raise TrainerError(f"The bundle cannot be used: {error}") from error
    raise TrainerError(
        f"{path} is neither a bundle (a folder with {MANIFEST_NAME}) nor a models folder with a "
        "bundle. Train one with `fit`, or make one out of an .h5 with `export`."
    )
