"""The service against its own OpenAPI document, by schemathesis: all checks, with real images."""

import os
from typing import Any

import httpx
import numpy as np
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from service.api.openapi import IMAGE_TYPES
from service.app import create_app
from service.settings import Settings
from tests.phantoms import chest_phantom
from tests.service.tiny_bundle import encode

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "10"))


@st.composite
def images(draw: st.DrawFn) -> bytes:
    """A chest phantom of any accepted format, and of many sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    size = (draw(st.integers(64, 300)), draw(st.integers(64, 300)))
    kind = draw(st.sampled_from(["JPEG", "PNG", "TIFF", "BMP", "WEBP"]))
    return encode(chest_phantom(rng, draw(st.booleans()), size), kind)


schemathesis.openapi.format("binary", images())
for media_type in (*IMAGE_TYPES, "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, images())


schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi())


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
def test_the_service_keeps_its_contract(case: schemathesis.Case[Any], client: httpx.Client) -> None:
    case.call_and_validate(base_url=str(client.base_url))
