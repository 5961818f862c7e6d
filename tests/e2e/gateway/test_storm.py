"""Nothing is lost and nothing comes twice, whichever program is killed."""

from pathlib import Path

import pytest

from tests.e2e.gateway.programs import hospital, require_peers
from tests.e2e.gateway.storm import storm

IMAGES = 15

pytestmark = pytest.mark.slow


def test_images_survive_kills(tmp_path: Path) -> None:
    require_peers()
    with hospital(tmp_path) as place:
        outcome = storm(place, IMAGES, pause=(0.5, 1.5))
    assert sum(outcome.kills.values()) > 0
    assert (outcome.sent, outcome.reports, outcome.captures) == (IMAGES, IMAGES, IMAGES)
    assert outcome.objects == 2 * IMAGES
