"""Every error that a caller can meet, in one shape (RFC 9457, `application/problem+json`).

They are listed in `problems.toml`, which says what its columns are.
`docs/api.md` explains each, and a test holds it to that.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from shared.imaging.refusal import ImageRefused

TYPE_PREFIX = "urn:chest-xray-screening:problem:"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem; `problems.toml` says what its fields mean."""

    slug: str
    status: int
    title: str
    example: str
    of: str = ""
    reason: str = ""
    help: str | None = None

    @property
    def type(self) -> str:
        """The URI that identifies this kind of problem."""
        return TYPE_PREFIX + self.slug


_LIST: Final = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
PROBLEMS: Final = {slug: ProblemType(slug, **facts) for slug, facts in tomllib.loads(_LIST).items()}
"""All of them, by slug."""
_REFUSALS: Final = {kind.reason: slug for slug, kind in PROBLEMS.items() if kind.reason}


class Problem(Exception):
    """A request that cannot be answered as asked.

    Attributes:
        kind: Which problem.
        detail: What was received, what is accepted, and what to do.
        headers: Headers that the answer carries, such as `Retry-After`.
    """

    def __init__(self, slug: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = PROBLEMS[slug]
        self.detail = detail
        self.headers = dict(headers or {})


def refused(refusal: ImageRefused) -> Problem:
    """The problem that a refused image is."""
    return Problem(_REFUSALS[refusal.reason], refusal.detail)


def overloaded(why: str) -> Problem:
    """The problem that there is no room for a request now: it may be sent again a second later."""
    return Problem(
        "overloaded",
        f"{why} Nothing is wrong with the request: send it again after the number of seconds that "
        "Retry-After gives.",
        {"Retry-After": "1"},
    )


def describe(problem: Problem, instance: str, request_id: str) -> dict[str, Any]:
    """The members of a problem's JSON object (RFC 9457, section 3.1, and `request_id`)."""
    return {
        "type": problem.kind.type,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "instance": instance,
        "request_id": request_id,
    }


def respond(problem: Problem, instance: str, request_id: str) -> Response:
    """The HTTP answer that tells a problem; takes what `describe` takes."""
    return Response(
        json.dumps(describe(problem, instance, request_id), ensure_ascii=False),
        status_code=problem.kind.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )
