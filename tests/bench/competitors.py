"""The same questions put to Retentioneering or pm4py, in an environment that has one of them.

``python competitors.py NAME EVENTS.parquet`` prints a line of JSON per measure. Nothing of this
project is imported, because that environment does not have it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version

os.environ["RETENTIONEERING_NO_TRACK"] = "1"

import pandas as pd

STEPS = ["followed_link", "compared_offers", "opened_ticket", "paid_invoice"]
Timed = Iterator[tuple[str, Callable[[], object]]]


def retentioneering(events: pd.DataFrame) -> Timed:
    from retentioneering.eventstream.eventstream import Eventstream

    held: dict[str, Eventstream] = {}
    schema = {
        "path_cols": ["customer_id", "journey_id"],
        "event_col": "touchpoint",
        "timestamp_col": "occurred_at",
    }

    def load() -> None:
        held["stream"] = Eventstream(events, schema)

    def matrices() -> list[object]:
        # It gives one weight a call; these three are the dear ones of the five asked for.
        weights = ("count", "unique_paths", "time_median")
        return [held["stream"].transition_graph_data(weight) for weight in weights]

    yield "load", load
    yield "transitions", matrices
    yield "flows", lambda: held["stream"].step_sankey_data(10, path_col="journey_id")
    yield "step_matrix", lambda: held["stream"].step_matrix_data(10, path_col="journey_id")
    yield "funnel", lambda: held["stream"].funnel_data(STEPS)


def pm4py(events: pd.DataFrame) -> Timed:
    import pm4py as miner

    held = {}

    def load() -> None:
        held["log"] = miner.format_dataframe(
            events, case_id="journey_id", activity_key="touchpoint", timestamp_key="occurred_at"
        )

    yield "load", load
    yield "transitions", lambda: miner.discover_performance_dfg(held["log"])
    yield "common_paths", lambda: miner.get_variants(held["log"])


def main() -> None:
    name, path = sys.argv[1:]
    events = pd.read_parquet(path)
    for measure, run in {"retentioneering": retentioneering, "pm4py": pm4py}[name](events):
        begin = time.perf_counter()
        run()
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        line = {"measure": measure, "seconds": seconds, "peak_gb": peak, "version": version(name)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
