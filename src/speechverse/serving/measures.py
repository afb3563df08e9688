"""What Prometheus reads at `/metrics`."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Measures:
    """Counts of one server; they hold no text and no names of users."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        where: dict[str, Any] = {"registry": self.registry, "namespace": "speechverse"}
        self.requests = Counter("requests", "Answered, by status.", ("path", "status"), **where)
        self.seconds = Histogram(
            "request_seconds", "Of a request.", ("path",), buckets=_SECONDS, **where
        )
        self.batches = Histogram("batch_size", "Items done together.", buckets=_SIZES, **where)
        self.audio = Counter("audio_seconds", "Of sound that was decoded.", **where)
        self.tokens = Counter("tokens", "Of prompts and answers.", ("kind",), **where)
        self.in_progress = Gauge("requests_in_progress", "Taken, not answered yet.", **where)
        self.waiting = Gauge("items_waiting", "For the model.", **where)
