"""What the server measures of itself while it works, for Prometheus to read: requests, websockets, inference."""

import functools
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
REQUESTS = Counter("whichlayers_requests", "Requests answered.", ("part", "status"), registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "whichlayers_request_seconds", "Until an answer begins.", ("part",), registry=REGISTRY,
    buckets=(0.005, 0.02, 0.06, 0.2, 0.5, 1, 3, 10, 60),
)  # fmt: skip
WEBSOCKETS = Gauge("whichlayers_websockets", "Websockets that are open.", ("part",), registry=REGISTRY)
INFERENCE_SECONDS = Histogram(
    "whichlayers_inference_seconds", "From a frame's coming to its answer, waiting included.", registry=REGISTRY,
    buckets=(0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60),
)  # fmt: skip
INFERENCE_WAITING = Gauge("whichlayers_inference_waiting", "Frames that wait or are answered now.", registry=REGISTRY)
INFERENCE_REFUSED = Counter("whichlayers_inference_refused", "Frames that got no answer.", registry=REGISTRY)
_Asked = ParamSpec("_Asked")
_Answered = TypeVar("_Answered")


def timed(
    failure: type[Exception],
) -> Callable[[Callable[_Asked, _Answered]], Callable[_Asked, _Answered]]:
    """For calls that ask the inference process: their time is counted, and `failure`, that none came, apart.

    What an answer says of a bad frame is an answer, too.
    """

    def around(ask: Callable[_Asked, _Answered]) -> Callable[_Asked, _Answered]:
        @functools.wraps(ask)
        def measured(*arguments: _Asked.args, **named: _Asked.kwargs) -> _Answered:
            begun = time.perf_counter()
            try:
                with INFERENCE_WAITING.track_inprogress(), INFERENCE_REFUSED.count_exceptions(failure):
                    return ask(*arguments, **named)
            finally:
                INFERENCE_SECONDS.observe(time.perf_counter() - begun)

        return measured

    return around
