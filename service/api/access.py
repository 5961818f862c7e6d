"""The API key that a route asks for, where keys are set."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from service.auth import HEADER
from service.dependencies import resources

_header = APIKeyHeader(name=HEADER, auto_error=False, description="one of the keys that are set")
_bearer = HTTPBearer(
    auto_error=False,
    description=f"the same key, for programs that cannot set {HEADER}, such as Prometheus",
)


async def require_key(
    request: Request,
    key: Annotated[str | None, Security(_header)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> None:
    """Lets a request with a known key pass.

    Raises:
        Problem: `key-required`.
    """
    offered = bearer.credentials if key is None and bearer is not None else key
    resources(request).keys.check(offered)
