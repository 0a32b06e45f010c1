"""Event logs of process mining, told by the names of the XES standard."""

from __future__ import annotations

from dataclasses import replace

from cxlib.ingest.looks import Look
from cxlib.ingest.notations import filled

__all__ = ["CASE", "as_event_log"]

# IEEE 1849-2016, the concept, time, organizational and lifecycle extensions.
CASE = "case:concept:name"
"""Column that names the case of an event."""
_ACTIVITY, _TIME, _INSTANCE = "concept:name", "time:timestamp", "concept:instance"
_DEPARTMENTS = ("org:group", "org:resource", "org:role")
_LIFECYCLE = "lifecycle:transition"


def as_event_log(look: Look) -> Look:
    """Look at an export by the names of its columns, where these are those of an event log.

    Parameters
    ----------
    look
        What the export seems to hold.

    Returns
    -------
    Look
        The same where it is no event log. Otherwise a case is a customer, an activity a
        touchpoint, and of several times the one of the event counts. Where activities have
        several transitions, such as start and complete, the event is that they are complete.

    Examples
    --------
    >>> import pandas as pd
    >>> from cxlib.ingest.looks import look_at
    >>> names = ["case:concept:name", "concept:name", "time:timestamp", "org:group"]
    >>> frame = pd.DataFrame([["7", "Take in charge", "2024-01-05", "desk"]], columns=names)
    >>> log = as_event_log(look_at("log.csv", frame))
    >>> log.customer, log.kind, log.times, log.fields
    ('case:concept:name', 'concept:name', {'time:timestamp': None}, {'department': 'org:group'})
    """
    columns = {str(name) for name in look.frame.columns}
    if not {CASE, _ACTIVITY, _TIME} <= columns or _TIME not in look.times:
        return look
    fields = {
        "channel": next((name for name in ("case:channel", "channel") if name in columns), None),
        "department": next((name for name in _DEPARTMENTS if name in columns), None),
    }
    steps = set(filled(look.frame[_LIFECYCLE])) if _LIFECYCLE in columns else set()
    ids = filled(look.frame[_INSTANCE]) if _INSTANCE in columns else None
    unique = ids is not None and len(ids) == len(look.frame) and ids.is_unique
    return replace(
        look,
        id=_INSTANCE if unique else None,
        email=None,
        customer=CASE,
        times={_TIME: look.times[_TIME]},
        kind=_ACTIVITY,
        text=None,
        fields={field: name for field, name in fields.items() if name is not None},
        when={_LIFECYCLE: "complete"} if len(steps) > 1 and "complete" in steps else {},
    )
