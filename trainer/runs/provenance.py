"""Which program made a network: versions of the libraries and the revision of the source."""

import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

_LIBRARIES = ("keras", "tensorflow", "tensorflow-cpu", "numpy", "onnxruntime", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that are installed."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def revision() -> str:
    """The commit that this program was checked out from, with "-dirty" behind it where files have
    changed since; "unknown" outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    here = str(Path(__file__).parent)
    found = subprocess.run(
        [git, "-C", here, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"
