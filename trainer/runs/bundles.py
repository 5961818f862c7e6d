"""Bundles that were published before: to measure, to export anew, to teach."""

from pathlib import Path

from shared.bundle.manifest import PNEUMONIA_HEAD, VIRAL_HEAD
from shared.bundle.store import MANIFEST_NAME, Bundle, BundleInvalid, current, open_bundle
from trainer.errors import TrainerError


def open_model(path: Path) -> Bundle:
    """Open a bundle, or the current bundle of a models folder.

    Raises:
        TrainerError: It is neither, or does not verify.
    """
    try:
        if (path / MANIFEST_NAME).is_file():
            return open_bundle(path)
        found = current(path)
        if found is not None:
            return open_bundle(found)
    except BundleInvalid as error:
        raise TrainerError(f"The bundle cannot be used: {error}") from error
    raise TrainerError(
        f"{path} is neither a bundle (a folder with {MANIFEST_NAME}) nor a models folder with a "
        "bundle. Train one with `fit`, or make one out of an .h5 with `export`."
    )


def find_teacher(path: Path) -> Path:
    """The folder of a bundle that can teach.

    Raises:
        TrainerError: It is no bundle, or does not tell both pneumonia and its cause.
    """
    bundle = open_model(path)
    heads = bundle.manifest.heads
    if not {PNEUMONIA_HEAD, VIRAL_HEAD} <= set(heads):
        raise TrainerError(
            f"{path} cannot teach: its network answers {', '.join(heads)}; a teacher answers "
            f"{PNEUMONIA_HEAD} and {VIRAL_HEAD}. Leave it out."
        )
    return bundle.path
