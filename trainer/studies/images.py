"""The images of a study: decoded once for all of its cells, and kept from cell to cell."""

from functools import lru_cache
from pathlib import Path

from trainer.config.options import Options
from trainer.data.preparation import Prepared, prepare


@lru_cache(maxsize=1)
def load_images(data: Path, out: Path, folds: int, limit: int) -> Prepared:
    """The training folder, checked and audited.

    Args:
        data: The folder or .zip.
        out: Of the study; `cache` in it holds the decoded images.
        folds: Into how many parts it must be possible to cut the patients.
        limit: Images of each class to use; 0: all.

    Raises:
        TrainerError: The data are not usable.
    """
    return prepare(data, out, Options(folds=folds, limit=limit), test=False)
