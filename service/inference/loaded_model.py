"""A model that can be served: a network with the manifest that says what its numbers mean."""

from dataclasses import dataclass
from pathlib import Path

from shared.bundle.manifest import Lack, Manifest
from shared.bundle.store import open_bundle
from shared.network import Network, warm_up
from shared.onnx_network import OnnxNetwork

NETWORK_FILE = "model.onnx"

_CAVEATS: dict[Lack, tuple[str, str]] = {
    "calibration": (
        "uncalibrated_model",
        "The model was not calibrated: its probabilities are rough figures.",
    ),
    "refusal": (
        "no_refusal",
        "The model does not notice a picture that is no chest X-ray: it answers anything.",
    ),
    "figures": (
        "unmeasured_model",
        "How good the model is was never measured: nothing is known of its errors.",
    ),
}
"""What every answer of a model warns of (code and message), by what its bundle lacks. Of unknown
familiarity `service.screening.pipeline` warns, as bundles lack it that are older than the field."""


@dataclass(frozen=True)
class ServedModel:
    """What one answer is computed with, from the first step to the last.

    Attributes:
        network: The network.
        manifest: What its outputs mean, and how they become an answer.
        sha256: The hash of the network's file, in hexadecimal.
        source: The bundle's folder.
    """

    network: Network
    manifest: Manifest
    sha256: str
    source: Path

    @property
    def caveats(self) -> tuple[tuple[str, str], ...]:
        """Warnings (code and message) that every answer of this model carries."""
        return tuple(_CAVEATS[lack] for lack in self.manifest.lacks if lack in _CAVEATS)


def load_bundle(path: Path) -> ServedModel:
    """Loads a bundle, verified and warmed up.

    Raises:
        BundleInvalid: Its files are not what the manifest says.
        NetworkInvalid: Its network does not run, or answers nonsense.
    """
    bundle = open_bundle(path)
    network = OnnxNetwork(bundle.file(NETWORK_FILE))
    bundle.read(NETWORK_FILE)  # checks it: a file changed since it was verified is not served
    warm_up(network, len(bundle.manifest.heads), bundle.manifest.heatmap)
    return ServedModel(network, bundle.manifest, bundle.manifest.files[NETWORK_FILE], path)
