"""A model that can be served: a network with the manifest that says what its numbers mean."""

from dataclasses import dataclass
from pathlib import Path

from service.inference.onnx_network import Network, OnnxNetwork, warm_up
from shared.bundle.store import Manifest, open_bundle

NETWORK_FILE = "model.onnx"


@dataclass(frozen=True)
class ServedModel:
    """What one answer is computed with, from the first step to the last.

    Attributes:
        network: The network.
        manifest: What its outputs mean, and how they become an answer.
        sha256: The hash of the network's file, in hexadecimal.
        source: The bundle's folder, or the bare `.h5`.
        caveats: Warnings (code and message) that every answer of this model carries.
    """

    network: Network
    manifest: Manifest
    sha256: str
    source: Path
    caveats: tuple[tuple[str, str], ...] = ()


def load_bundle(path: Path) -> ServedModel:
    """Loads a bundle, verified and warmed up.

    Args:
        path: The bundle's folder.

    Raises:
        BundleInvalid: Its files are not what the manifest says.
        NetworkInvalid: Its network does not run, or answers nonsense.
    """
    bundle = open_bundle(path)
    network = OnnxNetwork(bundle.file(NETWORK_FILE))
    bundle.read(NETWORK_FILE)  # checks it: a file changed since it was verified is not served
    warm_up(network, len(bundle.manifest.heads), bundle.manifest.heatmap)
    return ServedModel(network, bundle.manifest, bundle.manifest.files[NETWORK_FILE], path)
