"""Takes the picture of the archive's viewer for the documentation.

    python -m tests.e2e.gateway.screenshot

The X-ray is drawn, and the model is the one of the tests of the page: no patient, no real answer.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.conftest import ROOT
from tests.e2e.gateway.programs import USER, hospital
from tests.e2e.page import model
from tests.e2e.page.conftest import CHROMIUM, QUIET
from tests.gateway.radiographs import radiograph, write

PICTURE = ROOT / "docs" / "archive-viewer.webp"
_WIDTH, _HEIGHT = 1100, 820


def main() -> int:
    """Takes the picture; returns the exit code."""
    if CHROMIUM is None:
        print("No Chromium on this machine; on Debian: apt-get install chromium")
        return 1
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        model.publish_page_model(folder / "models")
        with hospital(folder, models=folder / "models") as place:
            image = radiograph(size=900, PatientName="Phantom^Drawn", PatientID="1")
            image.PixelData = model.xray("pneumonia", 900).tobytes()
            place.send(write(image, folder / "image.dcm"), to_archive=True)
            [capture] = place.wait_for("OT", 1)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
            page = browser.new_page(
                viewport={"width": _WIDTH, "height": _HEIGHT},
                http_credentials={"username": USER[0], "password": USER[1]},
            )
            series = place.series_of(capture["id"])
            page.goto(f"{place.archive_url}/web-viewer/app/viewer.html?series={series}")
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(3000)  # the viewer draws when it likes, and says nothing of it
            shot = Image.open(io.BytesIO(page.screenshot()))
            shot.convert("RGB").save(PICTURE, quality=80, method=6)
            browser.close()
    print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
