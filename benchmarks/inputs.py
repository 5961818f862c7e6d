"""What is sent in a measurement, and who answers: real X-rays where there are any, and a bundle."""

import os
from pathlib import Path

from shared.bundle.store import open_bundle
from tests.conftest import ROOT

DEFAULT = ROOT / "models" / "default"


def originals() -> list[Path]:
    """X-rays in their own size, of XRAY_DATA or else ../shared/data; none where there is no such
    folder."""
    # Taken out: the service refuses variables that are no settings of its own.
    data = Path(os.environ.pop("XRAY_DATA", "") or ROOT / ".." / "shared" / "data").resolve()
    return sorted((data / "full_resolution").rglob("*.jp*g"))


def models_with(bundle: Path, folder: Path) -> Path:
    """Makes a models folder that names a bundle as the one to serve."""
    version = open_bundle(bundle).manifest.version
    folder.mkdir(exist_ok=True)
    (folder / version).symlink_to(bundle.resolve())
    (folder / "current").write_text(version)
    return folder
