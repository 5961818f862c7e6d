"""What a program that decodes strangers' files changes in its libraries, for the whole process."""

import contextlib
import ctypes
import warnings
from typing import Final

from PIL import PngImagePlugin, _imaging

from shared.imaging.metadata import ration_tags

_MOST_TEXT: Final = 1024 * 1024


def harden() -> None:
    """Have Pillow and libtiff take little, and say nothing, of what files hold beside a picture.

    Each program calls this once, before it decodes; a second call changes nothing. Without it the
    same pixels come out, but a file made for it costs seconds and hundreds of megabytes.

    - Pillow takes a PNG's text into memory as it reads the header: 64 million characters, unless
      told otherwise. A million are far more than a viewer writes, orientation included.
    - Long lists in the tags of a TIFF are rationed.
    - Pillow warns of oddities in metadata. They do not concern the pixels, and metadata may name a
      patient: it must not reach a log. Neither may libtiff's complaints.
    """
    PngImagePlugin.MAX_TEXT_MEMORY = _MOST_TEXT
    ration_tags()
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    _silence_libtiff()


def _silence_libtiff() -> None:
    """Keep libtiff from writing to standard error.

    It writes a line about every damaged strip, thousands for a file of some kilobytes, between
    the lines of the log. Pillow has no switch for it, but libtiff itself has: no handler. It is
    found as Pillow's own code finds it; in a build of Pillow that hides it, it stays as it is.
    """
    with contextlib.suppress(OSError, AttributeError):
        loaded = ctypes.CDLL(_imaging.__file__)
        loaded.TIFFSetErrorHandler(None)
        loaded.TIFFSetWarningHandler(None)
