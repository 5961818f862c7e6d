"""The gateway: a DICOM node between a hospital's image archive and the screening service.

It receives radiographs (C-STORE), has the service screen them over HTTP, and sends what was found
back to the archive, as a structured report and a picture. It imports the service nowhere.
"""

from typing import Final

__version__: Final = "0.1.0"
