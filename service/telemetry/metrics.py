"""What `GET /metrics` tells Prometheus. Every label has few, known values."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.inference.model_watcher import Engine
from service.problems import PROBLEMS
from service.runtime.byte_budget import ByteBudget
from service.runtime.upload_memory import UploadMemory
from service.runtime.worker_pool import Capacity
from service.screening.cautions import UNFAMILIAR
from service.screening.pipeline import Screening
from service.telemetry.request_record import Observation
from shared.bundle.manifest import Manifest
from shared.imaging.dicom.headers import Flag
from shared.labels import LABELS, PNEUMONIA

SCREENING_STAGES: Final = {"queue", "decode", "infer"}
NEEDS_REVIEW: Final = "needs_review"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics(Collector):
    """The counters, histograms and gauges of one service."""

    def __init__(
        self, engine: Engine, capacity: Capacity, decoded: ByteBudget, uploads: UploadMemory
    ):
        self._engine, self._capacity = engine, capacity
        self._decoded, self._uploads = decoded, uploads
        registry = self._registry = CollectorRegistry()
        counter = partial(Counter, namespace="xray", registry=registry)
        histogram = partial(Histogram, namespace="xray", buckets=_SECONDS, registry=registry)
        self._requests = counter("requests", "Requests, by route and outcome", ["route", "outcome"])
        lasting = "Time from a request's first line to the end of its answer"
        self._seconds = histogram("request_seconds", lasting, ["route"])
        self._by_route: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        stages = histogram("stage_seconds", "Time that the stages of a screening take", ["stage"])
        self._stages = {
            stage: stages.labels(stage) for stage in ("read", *sorted(SCREENING_STAGES))
        }
        self._refusals = counter("refusals", "Images refused, by reason", ["reason"])
        self._screenings = counter("screenings", "Images answered, by label", ["label"])
        flagged = "Images answered with a flag, by flag: needs_review, or the code of a warning"
        self._flags = counter("flags", flagged, ["flag"])
        # From the start: a rate needs a first value.
        for flag in (NEEDS_REVIEW, UNFAMILIAR[0], *Flag):
            self._flags.labels(flag)
        for label in LABELS:
            self._screenings.labels(label)
        for slug in PROBLEMS:
            self._refusals.labels(slug)
        self._registry.register(self)
        ProcessCollector(registry=registry)

    def answered(self, route: str, observation: Observation, seconds: float) -> None:
        """Counts a request that has ended."""
        requests, histogram = self._of(route, observation.outcome)
        requests.inc()
        histogram.observe(seconds)
        if "read" in observation.stages:
            self._stages["read"].observe(observation.stages["read"])

    def _of(self, route: str, outcome: str) -> tuple[Counter, Histogram]:
        """A route's metrics, kept: looking labels up costs more than counting."""
        found = self._by_route.get((route, outcome))
        if found is None:
            found = self._requests.labels(route, outcome), self._seconds.labels(route)
            self._by_route[route, outcome] = found
        return found

    def screened(self, stages: dict[str, float], screening: Screening | None) -> None:
        """Counts one image that was to be worked on: its stages, and its answer if it has one."""
        for stage in SCREENING_STAGES & stages.keys():
            self._stages[stage].observe(stages[stage])
        if screening is None:
            return
        self._screenings.labels(screening.label).inc()
        if screening.needs_review:
            self._flags.labels(NEEDS_REVIEW).inc()
        for code, _ in screening.warnings:
            self._flags.labels(code).inc()

    def refused(self, reason: str) -> None:
        """Counts an image that was not answered, by the slug of its problem."""
        self._refusals.labels(reason).inc()

    def expose(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yields what is read off the service's parts at the moment of asking."""
        engine, capacity = self._engine, self._capacity
        for name, about, value in (
            ("xray_queue_depth", "Images that wait", capacity.waiting),
            ("xray_running", "Images that are worked on", capacity.running),
            ("xray_cores", "Images that can be worked on at once", capacity.cores),
            ("xray_workers_hung", "Workers that an image keeps for good", capacity.hung),
            ("xray_decoded_bytes", "Memory lent to decoding", self._decoded.taken),
            ("xray_upload_bytes", "Uploads held in memory", self._uploads.lent),
        ):
            yield GaugeMetricFamily(name, about, value)
        yield CounterMetricFamily(
            "xray_model_swaps", "Models taken up in place of another", engine.swaps
        )
        yield CounterMetricFamily("xray_model_refusals", "Models that were refused", engine.refused)
        model = engine.model
        yield GaugeMetricFamily("xray_ready", "Whether a model is served", int(model is not None))
        if model is not None:
            info = GaugeMetricFamily(
                "xray_model_info", "The served model", labels=["version", "sha256"]
            )
            info.add_metric([model.manifest.version, model.sha256], 1)
            yield info
            shares = GaugeMetricFamily(
                "xray_model_share",
                "Shares of the images that the served model was evaluated on, by what was said",
                labels=["of"],
            )
            for name, share in _shares(model.manifest).items():
                shares.add_metric([name], share)
            yield shares


def _shares(manifest: Manifest) -> dict[str, float]:
    """What to expect of the images that come in, as far as the manifest tells."""
    shares = {}
    matrix = manifest.confusion_matrix
    if matrix is not None and (total := sum(map(sum, matrix))):
        shares[PNEUMONIA] = sum(said_pneumonia for _, said_pneumonia in matrix) / total
    if "reviewed" in manifest.metrics:
        shares[NEEDS_REVIEW] = manifest.metrics["reviewed"].value
    return shares
