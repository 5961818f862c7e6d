"""What libtiff has to say stays out of the log."""

from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, _imaging

from shared.imaging import hardening
from shared.imaging.decode import decode
from shared.imaging.refusal import ImageRefused
from tests.shared.imaging.pictures import PHANTOM, encode


def damaged_fax() -> bytes:
    """A TIFF as fax machines compress it, with noise in place of the pixels."""
    data = encode(Image.fromarray(PHANTOM).convert("1"), "TIFF", compression="tiff_ccitt")
    noise = np.random.default_rng(1).bytes(1000)
    return data[:8] + noise + data[1008:]


def test_a_damaged_tiff_writes_nothing_between_the_lines_of_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with suppress(ImageRefused):
        decode(damaged_fax())
    assert capfd.readouterr() == ("", "")


def test_a_build_of_pillow_that_hides_libtiff_is_no_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for file in ("/nowhere/_imaging.so", None):
        monkeypatch.setattr(_imaging, "__file__", file)
        hardening.harden()
    monkeypatch.delattr(_imaging, "__file__")
    hardening.harden()
