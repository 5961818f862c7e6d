"""What is noted of one request: its id, what came of it, and how long each stage took.

Never a file name, a header of an image or a pixel: nothing here could name a patient.
"""

import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

REQUEST_ID_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
_KEY: Final = "observation"


@dataclass
class Observation:
    """One request, as the log, the metrics and `Server-Timing` tell it.

    Attributes:
        request_id: The caller's `X-Request-ID` where it is a plain one, or else a new one.
        stages: Seconds that each stage took: read, queue, decode, infer.
        received: Bytes of the upload.
        outcome: What came of it: "answered", or the slug of a problem.
        model: The version of the model that answered.
        status: Of an answer that the protocol gave in the application's place; 0 if it gave none.
    """

    request_id: str
    stages: dict[str, float] = field(default_factory=dict)
    received: int = 0
    outcome: str = "answered"
    model: str | None = None
    status: int = 0

    def server_timing(self) -> str:
        """The stages as the header `Server-Timing` tells them (W3C Server Timing, section 2)."""
        return ", ".join(f"{name};dur={1000 * took:.2f}" for name, took in self.stages.items())


def observed(scope: Scope) -> Observation:
    """The observation of a request; a new one, attached to it, where there is none yet."""
    observation = scope.get(_KEY)
    if not isinstance(observation, Observation):
        offered = Headers(scope=scope).get("x-request-id", "")
        accepted = offered if re.search(REQUEST_ID_PATTERN, offered) else secrets.token_hex(8)
        scope[_KEY] = observation = Observation(accepted)
    return observation
