"""What Prometheus reads of the studies and of who looks at them: found out when it asks."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from streamlit.runtime import Runtime
from streamlit.runtime.stats import ACTIVE_SESSIONS_FAMILY

from dashboard.figures.trial_states import STATES
from dashboard.gauges import REGISTRY
from dashboard.places import store_root
from engine.errors import WhichLayersError
from engine.steering import trial_states
from engine.store import Store

LOG = logging.getLogger("whichlayers.metrics")


class TrialsAndSessions(Collector):
    """Read when asked for: trials by state of every study, what runs, and who looks."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[str, str], dict[str, int]]] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A sample per study and state, states without a trial too; damaged studies are left out."""
        from dashboard import data  # its caches are Streamlit's, and want the running program

        trials = GaugeMetricFamily("whichlayers_trials", "Trials by state.", labels=("study", "state"))
        running = GaugeMetricFamily("whichlayers_study_running", "Whether a run is at work.", labels=("study",))
        names = data.store().studies()
        self._known = {name: known for name, known in self._known.items() if name in names}
        for name in names:
            try:
                now = data.progress(name)
                for state, count in self._counts(name, (data.stamp(name), str(now))).items():
                    trials.add_metric((name, state), count)
                running.add_metric((name,), float(bool(now.get("alive"))))
            except WhichLayersError as error:
                LOG.warning("%s", error)
        yield trials
        yield running
        looking = sum(stat.value for stat in _sessions())
        yield GaugeMetricFamily("whichlayers_sessions", "Pages that are open in browsers.", value=looking)

    def _counts(self, study: str, stamp: tuple[str, str]) -> dict[str, int]:
        if self._known.get(study, ((), {}))[0] != stamp:
            states = trial_states(Store.at(store_root()), study)["state"].value_counts()
            self._known[study] = (stamp, {state: int(states.get(state, 0)) for state in STATES})
        return self._known[study][1]


def _sessions() -> Sequence[Any]:
    if not Runtime.exists():
        return ()
    return Runtime.instance().stats_mgr.get_stats([ACTIVE_SESSIONS_FAMILY]).get(ACTIVE_SESSIONS_FAMILY, ())


def text(found: TrialsAndSessions) -> bytes:
    """All that is measured, in Prometheus's format: `gauges`, and what `found` collects now."""
    now = CollectorRegistry()
    now.register(found)
    return generate_latest(REGISTRY) + generate_latest(now)
