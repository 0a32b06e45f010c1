"""Things that are opened and closed, counted without knowing which closing is for which opening."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

__all__ = ["count_running", "steps_of"]


def steps_of(
    events: ir.Table, opens: Sequence[str], closes: Sequence[str], keys: Sequence[str]
) -> ir.Table:
    """Events that open or close something, with how many are open after each.

    Parameters
    ----------
    events
        Events with ``customer_id``, ``cx_place``, ``touchpoint`` and the ``keys``.
    opens, closes
        Touchpoints.
    keys
        Columns within which to count.

    Returns
    -------
    ibis.expr.types.Table
        These events, with ``cx_step`` (1 or -1) and ``cx_running``: a closing with nothing open
        changes nothing.

    Examples
    --------
    >>> events = ibis.memtable({"customer_id": ["a"] * 4, "cx_place": [1, 2, 3, 4],
    ...                         "touchpoint": ["shut", "open", "open", "shut"]})
    >>> steps_of(events, ["open"], ["shut"], ["customer_id"]).order_by("cx_place").select(
    ...     "touchpoint", "cx_running").to_pandas()
      touchpoint  cx_running
    0       shut           0
    1       open           1
    2       open           2
    3       shut           1
    """
    name = events.touchpoint.cast("string")
    moves = events.filter(name.isin([*opens, *closes]))
    opened = moves.touchpoint.cast("string").isin(list(opens))
    moves = moves.mutate(cx_step=ibis.ifelse(opened, 1, -1).cast("int64"))
    so_far = ibis.window(group_by=list(keys), order_by="cx_place", preceding=None, following=0)
    # By way of int32, because an engine's sum of int64 may be wider than Ibis thinks it is.
    level = moves.cx_step.sum().over(so_far).cast("int32").cast("int64")
    moves = moves.mutate(cx_level=level)
    lowest = ibis.least(moves.cx_level.min().over(so_far), 0)
    return moves.mutate(cx_running=moves.cx_level - lowest).drop("cx_level")


def count_running(steps: ir.Table, keys: Sequence[str]) -> ir.Table:
    """How many are open after the last event of each group: the keys and ``running``.

    Examples
    --------
    >>> steps = ibis.memtable({"customer_id": ["a", "a"], "cx_place": [1, 2], "cx_running": [1, 0]})
    >>> count_running(steps, ["customer_id"]).running.to_list()
    [0]
    """
    return steps.group_by(list(keys)).aggregate(running=steps.cx_running.argmax(steps.cx_place))
