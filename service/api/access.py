"""The API key that a route asks for, where keys are set."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from service.auth import HEADER
from service.dependencies import resources

_header = APIKeyHeader(name=HEADER, auto_error=False, description="one of the keys that are set")


async def require_key(request: Request, key: Annotated[str | None, Security(_header)]) -> None:
    """Lets a request with a known key pass.

    Raises:
        Problem: `key-required`.
    """
    resources(request).keys.check(key)
