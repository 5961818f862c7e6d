"""What `GET /metrics` tells Prometheus. Every label has few, known values."""

from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from gateway.spool.store import Spool

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The counters of one gateway, and what is read off its spool at the moment of asking."""

    def __init__(self, spool: Spool) -> None:
        self._registry = registry = CollectorRegistry()
        counter = partial(Counter, namespace="gateway", registry=registry)
        gauge = partial(Gauge, namespace="gateway", registry=registry)
        self.received = counter("received", "Objects that came by C-STORE", ["outcome"])
        self.rejected = counter("rejected_associations", "Associations not accepted", ["why"])
        self.screened = counter("screened", "Images that the service judged", ["finding"])
        self.refused = counter("refused", "Images that the service does not judge", ["reason"])
        self.delivered = counter("delivered", "Images whose results are in the archive")
        self.retries = counter("retries", "Tries that failed and will be made again", ["stage"])
        self.failures = counter("failures", "Images that were given up", ["stage"])
        images = gauge("spool_images", "Images in the spool", ["stage"])
        for stage in spool.depth():
            images.labels(stage).set_function(partial(_depth, spool, stage))
        oldest = gauge("spool_oldest_seconds", "Age of the oldest image that is worked on")
        oldest.set_function(spool.oldest_seconds)
        self.associations = gauge("associations", "Open associations")
        ProcessCollector(registry=registry)

    def expose(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


def _depth(spool: Spool, stage: str) -> int:
    return spool.depth()[stage]
