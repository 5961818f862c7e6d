"""What the models folder asks for, and what to do where that is nothing that can be served."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.bundle.store import MANIFEST_NAME, current

NO_FOLDER: Final = "the folder of XRAY_MODELS does not exist"

_KERAS: Final = frozenset({".h5", ".hdf5", ".keras"})
_NO_MODELS: Final = frozenset({"lost+found"})  # what a fresh volume holds
_NAMED: Final = 3
"""How many names a complaint tells."""


@dataclass(frozen=True)
class Asked:
    """What a models folder asks for.

    Attributes:
        bundle: The bundle to serve; None where none is asked for.
        complaint: Why none is, and what to do; None where nothing is amiss, as with an empty
            folder.
    """

    bundle: Path | None = None
    complaint: str | None = None


def asked_for(models: Path, default: Path) -> Asked:
    """Looks at the folder: the bundle that `current` names, or the folder itself if it is one.

    A bare Keras file is not served: nothing is known of what it means. `trainer export` checks
    that, and makes a bundle of it.

    Args:
        models: The folder of XRAY_MODELS.
        default: The bundle that ships; where it lies in that folder it is no request.

    Raises:
        BundleInvalid: `current` names something outside the folder.
        OSError: The folder cannot be read.
    """
    if models.is_file():
        return Asked(complaint=_file(models))
    if not models.is_dir():
        return Asked(complaint=NO_FOLDER)
    named = current(models)
    if named is not None:
        return Asked(named)
    if (models / MANIFEST_NAME).is_file():
        return Asked(models)
    shipped = default.resolve()
    found = sorted(
        path
        for path in models.iterdir()
        if not path.name.startswith(".")
        and path.name not in _NO_MODELS
        and path.resolve() != shipped
    )
    return Asked(complaint=_contents(found)) if found else Asked()


def _file(path: Path) -> str:
    if path.suffix.lower() in _KERAS:
        return f"XRAY_MODELS names the file {path.name}, not a folder. {_export(path.name)}"
    return (
        f"XRAY_MODELS names the file {path.name}, not a folder: set it to the folder that holds "
        "the bundles, or to a bundle's own folder"
    )


def _contents(found: list[Path]) -> str:
    bundles = [path for path in found if (path / MANIFEST_NAME).is_file()]
    if bundles:
        return (
            f"the folder of XRAY_MODELS holds {_names(bundles)}, but no file `current` that names "
            f"the bundle to serve: write {bundles[-1].name} into it, say"
        )
    networks = [path for path in found if path.suffix.lower() in _KERAS and path.is_file()]
    if networks:
        return f"the folder of XRAY_MODELS holds {_names(networks)}. {_export(networks[-1].name)}"
    return (
        f"the folder of XRAY_MODELS holds {_names(found)}, and no bundle: train one with "
        "`python -m trainer fit`, or name another folder"
    )


def _export(name: str) -> str:
    return (
        "A Keras file is not served as it is: make a checked bundle of it with `python -m trainer "
        f"export {name} --models FOLDER` in its folder (in a container: `DATA=. docker compose run "
        f"--rm trainer export /models/{name} --models /models`)"
    )


def _names(paths: list[Path]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(path.name for path in paths[:_NAMED]) + more
