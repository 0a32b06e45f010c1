"""Logs that nobody made for these tests, as journeys: one call per example in the shared folder.

``example_log("helpdesk", shared, con)`` gives the log on the engine of ``con``;
``example_workspace("helpdesk", shared)`` a built workspace, for notebooks and the command line.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from textwrap import dedent

from cxlib.build import build_store
from cxlib.engine.store import open_store
from cxlib.journeys.log import Journeys, load_journeys
from cxlib.journeys.prepare import fill_contract, journey_table
from tests.built_once import built_once

EXAMPLES = ("ecom", "helpdesk", "receipt", "teleclaims", "ravenstack")

_PROJECT = Path(__file__).resolve().parent.parent.parent
_DESCRIBED = {"ecom": "retentioneering", "ravenstack": "ravenstack"}
"""Examples whose sources.yml stands in data/examples, and the shared folder of their exports."""

_SOURCES = {
    "helpdesk": """
        name: Help desk
        journeys: {closes_after: 30 days}
        sources:
          tickets:
            file: helpdesk_italian.csv*
            customer: {key: "case:concept:name"}
            attributes: [product]
            events:
              - touchpoint: {column: "concept:name"}
                time: "time:timestamp"
                department: {column: support_section}
                product: {column: product}
                columns: [seriousness_2, service_level, service_type, workgroup]
    """,
    "receipt": """
        name: Receipt of a building permit
        timezone: Europe/Amsterdam
        journeys: {closes_after: 60 days}
        sources:
          permits:
            file: receipt.csv*
            id: "concept:instance"
            customer: {key: "case:concept:name"}
            events:
              - touchpoint: {column: "concept:name"}
                time: "time:timestamp"
                channel: {column: "case:channel"}
                department: {column: "org:group"}
    """,
    # Every activity has a start and an end; the log takes the end.
    "teleclaims": """
        name: Claims by telephone
        journeys: {end: [end], closes_after: 1 day}
        sources:
          claims:
            file: teleclaims.csv*
            customer: {key: "case:concept:name"}
            events:
              - touchpoint: {column: "concept:name"}
                time: "time:timestamp"
                when: {"lifecycle:transition": complete}
                department: {column: "org:resource"}
                columns: [outcome]
    """,
}
_TABLES = count()


def example_workspace(name: str, shared: Path) -> Path:
    """Workspace of an example, built once in a run and not to be changed."""

    def make(workspace: Path) -> None:
        if name in _DESCRIBED:
            sources = _PROJECT / "data" / "examples" / name / "sources.yml"
        else:
            sources = workspace / "sources.yml"
            sources.write_text(dedent(_SOURCES[name]), encoding="utf-8")
        exports = shared / "data" / _DESCRIBED.get(name, "eventlogs")
        build_store(workspace, sources=sources, exports=exports)

    return built_once(name, make)


def example_log(name: str, shared: Path, con=None) -> Journeys:
    """Log of an example; on the engine of ``con`` where it is given, else as it is stored."""
    log = load_journeys(open_store(example_workspace(name, shared)))
    if con is None:
        return log
    frame = log.events.to_pandas()
    empty = [column for column in frame if frame[column].isna().all()]
    # An engine cannot hold a column without a type.
    frame = frame.drop(columns=empty)
    for column in frame.select_dtypes("datetime"):
        frame[column] = frame[column].astype("datetime64[us]")
    table = con.create_table(f"example_{name}_{next(_TABLES)}", frame)
    events = fill_contract(table)
    return replace(log, events=events, journeys=journey_table(events))
