"""The C library that reads compressed TIFF files for Pillow."""

import contextlib
import ctypes

from PIL import _imaging


def silence() -> None:
    """Keep libtiff from writing to standard error, for the rest of the process.

    It writes a line about every damaged strip, thousands for a file of some kilobytes, between
    the lines of the log. Pillow has no switch for it, but libtiff itself has: no handler. It is
    found as Pillow's own code finds it; in a build of Pillow that hides it, it stays as it is.
    """
    with contextlib.suppress(OSError, AttributeError):
        loaded = ctypes.CDLL(_imaging.__file__)
        loaded.TIFFSetErrorHandler(None)
        loaded.TIFFSetWarningHandler(None)
