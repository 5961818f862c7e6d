"""The screening service, asked over HTTP: a DICOM file in; an answer, or a refusal, out."""

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import httpx

from gateway.backoff import Away, Unsuccessful

_ADDRESS: Final = "/predict?heatmap=true&picture=true"
_CHUNK: Final = 1 << 18
_PROBLEM: Final = "application/problem+json"

_ABOUT_THE_IMAGE: Final = frozenset({400, 413, 415, 422})
"""Statuses that speak of the image; the others speak of the service, or of who asks."""

_ABOUT_THE_REQUEST: Final = frozenset({"invalid-parameter", "malformed-request"})
"""Problems with such a status that speak of the request all the same."""


@dataclass(frozen=True)
class Answer:
    """What the service says about an image. A second opinion, never a diagnosis.

    Attributes:
        label: "NORMAL" or "PNEUMONIA": the decision at the model's threshold.
        probability: Calibrated probability of pneumonia, in [0, 1].
        threshold: The label is PNEUMONIA from this probability on.
        needs_review: Whether the model is uncertain.
        reliable: Whether the image is one of those that the model learned to judge.
        warnings: Pairs of a stable code and a sentence for people.
        model_version: Of the bundle that answered.
        model_sha256: Of its network's file, in hexadecimal.
        picture: The X-ray as the model saw it, as JPEG; None where the service gives none.
        heatmap: The evidence alone, as PNG with transparency, to be stretched over the picture;
            None where the model has none.
    """

    label: str
    probability: float
    threshold: float
    needs_review: bool
    reliable: bool
    warnings: tuple[tuple[str, str], ...]
    model_version: str
    model_sha256: str
    picture: bytes | None = None
    heatmap: bytes | None = None


@dataclass(frozen=True)
class Refusal:
    """Why the service does not judge an image.

    Attributes:
        reason: The last part of the problem's type, such as "not-a-chest-xray"; it never changes.
        detail: For people: what was received, and what is accepted.
    """

    reason: str
    detail: str


class ScreeningClient:
    """One service. Several threads may use it at once."""

    def __init__(self, url: str, key: str | None, seconds: float, at_once: int) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"X-API-Key": key} if key else {},
            timeout=seconds,
            trust_env=False,
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def screen(self, image: Path) -> Answer | Refusal:
        """Has an image screened, and its heatmap drawn.

        Args:
            image: A DICOM file (PS3.10).

        Returns:
            The answer, or why there is none.

        Raises:
            Away: The service is away, overloaded, or does not know the gateway.
            Unsuccessful: It answered something else than docs/api.md says.
        """
        response = self._post(image)
        if response.status_code == httpx.codes.OK:
            return _answer(response)
        reason, detail = _problem(response)
        if response.status_code in _ABOUT_THE_IMAGE and reason not in {None, *_ABOUT_THE_REQUEST}:
            return Refusal(str(reason), detail)
        raise Away(
            f"the service answered {response.status_code} ({reason or 'no problem document'})",
            _retry_after(response),
        )

    def _post(self, image: Path) -> httpx.Response:
        headers = {
            "Content-Type": "application/dicom",
            "Content-Length": str(image.stat().st_size),
        }
        try:
            return self._http.post(_ADDRESS, content=_pieces(image), headers=headers)
        except httpx.TimeoutException:
            raise Away("the service did not answer in time") from None
        except httpx.TransportError as error:
            raise Away(f"the service is away ({type(error).__name__})") from None


def _pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes, never whole in memory: a radiograph has tens of megabytes."""
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            yield piece


def _problem(response: httpx.Response) -> tuple[str | None, str]:
    """The slug of a problem document's type (RFC 9457) and its detail."""
    if response.headers.get("content-type", "").split(";")[0] != _PROBLEM:
        return None, ""
    try:
        document: Any = response.json()
        return str(document["type"]).rpartition(":")[2], str(document["detail"])
    except (ValueError, KeyError, TypeError):
        return None, ""


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, from a number or a date (RFC 9110, section 10.2.3)."""
    text = response.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _answer(response: httpx.Response) -> Answer:
    try:
        said: Any = response.json()
        answer = Answer(
            label=str(said["label"]),
            probability=float(said["probability"]),
            threshold=float(said["threshold"]),
            needs_review=bool(said["needs_review"]),
            reliable=bool(said.get("reliable", True)),
            warnings=tuple((str(one["code"]), str(one["message"])) for one in said["warnings"]),
            model_version=str(said["model"]["version"]),
            model_sha256=str(said["model"]["sha256"]),
            picture=_image(said.get("picture"), "jpeg"),
            heatmap=_image(said.get("heatmap"), "png"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Unsuccessful(f"no answer as documented ({type(error).__name__})") from None
    if answer.label not in {"NORMAL", "PNEUMONIA"} or not 0 <= answer.probability <= 1:
        raise Unsuccessful("no answer as documented (label or probability)")
    return answer


def _image(said: Any, kind: str) -> bytes | None:
    """The bytes of an image within an answer, in base64."""
    return None if said is None else base64.b64decode(said[kind], validate=True)
