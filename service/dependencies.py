"""What all requests share, made once when the service starts."""

from dataclasses import dataclass
from typing import Final, Self

from starlette.requests import HTTPConnection

from service.auth import Keys
from service.inference.loaded_model import ServedModel
from service.inference.model_watcher import Engine
from service.problems import Problem
from service.runtime.byte_budget import ByteBudget
from service.runtime.upload_memory import UploadMemory
from service.runtime.worker_pool import Capacity
from service.settings import MIB, Settings
from service.telemetry.metrics import Metrics
from shared.runtime.malloc import keep_small_blocks

UPLOADS_BESIDE: Final = 4 * MIB
"""Memory for other uploads beside one of the largest, which is the least that there must be."""

GIVEN_UP_AFTER: Final = 2
"""An image that is worked on for this many times `answer_seconds` is taken to hang."""


@dataclass
class Resources:
    """The service's parts.

    Attributes:
        draining: Whether the service was told to stop, and answers only what is still coming in.
    """

    settings: Settings
    keys: Keys
    engine: Engine
    capacity: Capacity
    decoded: ByteBudget
    uploads: UploadMemory
    metrics: Metrics
    draining: bool = False

    @classmethod
    def build(cls, settings: Settings) -> Self:
        """Makes the parts that the settings ask for; no model is loaded yet.

        Raises:
            SettingsInvalid: The API keys cannot be read.
        """
        keep_small_blocks(settings.cores)
        engine = Engine(settings.models)
        hangs_after = GIVEN_UP_AFTER * settings.answer_seconds
        capacity = Capacity(settings.cores, settings.queue, hangs_after)
        decoded = ByteBudget(settings.decoded_budget)
        uploads = UploadMemory(settings.body_limit + UPLOADS_BESIDE)
        metrics = Metrics(engine, capacity, decoded, uploads)
        return cls(
            settings, Keys.from_settings(settings), engine, capacity, decoded, uploads, metrics
        )

    def model(self) -> ServedModel:
        """The model to answer with.

        Raises:
            Problem: `not-ready`; none is loaded.
        """
        model = self.engine.model
        if model is None:
            why = self.engine.complaint or "it is being loaded"
            raise Problem("not-ready", f"No model is loaded: {why}.", {"Retry-After": "2"})
        return model


def resources(connection: HTTPConnection) -> Resources:
    """The resources of the service that a request came to."""
    shared: Resources = connection.app.state.resources
    return shared
