"""A typed client of the screening service: httpx and the standard library, nothing else.

    python docs/client.py http://127.0.0.1:8000 image.jpeg

Copy it into your system. `Refused.type` never changes between versions: decide by it, and show
`Refused.detail` to people. A busy service is asked again, as its `Retry-After` says.
"""

import sys
import time
from dataclasses import dataclass, fields
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

TRIES = 5


@dataclass(frozen=True)
class Screening:
    """The answer about one image: a second opinion, never a diagnosis."""

    label: str  # "NORMAL" or "PNEUMONIA", at the model's threshold
    probability: float  # calibrated probability of pneumonia, in [0, 1]
    needs_review: bool  # uncertain, or not reliable: have a person look
    reliable: bool  # False: unlike the X-rays that the model knows; do not rely on the label
    warnings: tuple[str, ...]  # stable codes, such as "unfamiliar_image"
    model: str  # version of the model that answered
    request_id: str  # as in the service's log


class Refused(Exception):
    """The service does not answer: `type` for programs, `detail` for people."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"])
        self.type: str = problem["type"]
        self.status: int = problem["status"]
        self.detail: str = problem["detail"]
        self.request_id: str = problem["request_id"]


class Screener(httpx.Client):
    """One service: Screener(base_url=url, headers={"X-API-Key": key}, timeout=60). A context."""

    def screen(self, image: bytes, request_id: str | None = None) -> Screening:
        """Screens one image: JPEG, PNG, TIFF, BMP, WebP, DICOM. Raises Refused, httpx.HTTPError."""
        headers = {"X-Request-ID": request_id} if request_id else {}
        for attempt in range(1, TRIES + 1):
            answer = self.post("/predict", files={"file": image}, headers=headers)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or attempt == TRIES:
                break
            after = answer.headers.get("Retry-After", "1")  # seconds or, from a proxy, a date
            if not after.isdecimal():
                after = parsedate_to_datetime(after).timestamp() - time.time()
            time.sleep(max(0.0, float(after)))
        if answer.headers.get("content-type") == "application/problem+json":
            raise Refused(answer.json())
        said = answer.raise_for_status().json()
        said["warnings"] = tuple(warning["code"] for warning in said["warnings"])
        said["model"] = said["model"]["version"]
        return Screening(**{field.name: said[field.name] for field in fields(Screening)})


if __name__ == "__main__":
    with Screener(base_url=sys.argv[1], timeout=60) as screener:
        print(screener.screen(Path(sys.argv[2]).read_bytes()))
