"""Puts the service together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from service.api import routers
from service.api.openapi import about, complete
from service.dependencies import Resources
from service.http.cors import Origins
from service.http.error_handlers import FAILURES
from service.http.middleware import Edge
from service.settings import Settings
from shared.imaging.hardening import harden


def create_app(settings: Settings) -> FastAPI:
    """Makes the application; the model is loaded when it starts.

    Raises:
        SettingsInvalid: The API keys cannot be read.
    """
    harden()
    shared = Resources.build(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(shared.engine.watch())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        shared.capacity.close()

    app = FastAPI(lifespan=lifespan, exception_handlers=FAILURES, **about(settings.root_path))
    app.state.resources = shared
    for router in routers(shared.keys.required):
        app.include_router(**router)
    complete(app)
    if settings.cors_origins:
        app.add_middleware(Origins, settings=settings)
    app.add_middleware(Edge, metrics=shared.metrics, prefix=settings.root_path)
    return app
