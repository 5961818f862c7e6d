"""What `GET /metrics` tells Prometheus. Every label has few, known values."""

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.spool.store import Spool

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The counters of one gateway, and what is read off its spool."""

    def __init__(self, spool: Spool) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"gateway_{name}", text, labels, registry=registry)

        self.received = counter("received", "Objects that came by C-STORE", "outcome")
        self.rejected = counter("rejected_associations", "Associations not accepted", "why")
        self.screened = counter("screened", "Images that the service judged", "finding")
        self.refused = counter("refused", "Images that the service does not judge", "reason")
        self.delivered = counter("delivered", "Images whose results are in the archive")
        self.retries = counter("retries", "Tries that failed and will be made again", "stage")
        self.failures = counter("failures", "Images that were given up", "stage")
        self._associations: Callable[[], int] = lambda: 0
        registry.register(_Gauges(spool, lambda: self._associations()))
        ProcessCollector(registry=registry)

    def watch(self, associations: Callable[[], int]) -> None:
        """Tells where the number of open associations is to be had."""
        self._associations = associations

    def expose(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """What is read off the spool at the moment of asking."""

    def __init__(self, spool: Spool, associations: Callable[[], int]) -> None:
        self._spool = spool
        self._associations = associations

    def collect(self) -> Iterator[Metric]:
        """Yields the families."""
        depth = GaugeMetricFamily("gateway_spool_images", "Images in the spool", labels=["stage"])
        for stage, count in self._spool.depth().items():
            depth.add_metric([stage], count)
        yield depth
        yield GaugeMetricFamily(
            "gateway_spool_oldest_seconds",
            "Age of the oldest image that is worked on",
            self._spool.oldest_seconds(),
        )
        yield GaugeMetricFamily("gateway_associations", "Open associations", self._associations())
