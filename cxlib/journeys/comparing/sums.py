"""Both logs counted in the engine, for some hundreds of groups of customers apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError
from cxlib.journeys.comparing.measures import GROUP, SIDE, Measure, Ratio
from cxlib.journeys.log import Journeys, as_list

__all__ = ["Sums", "count_groups", "sum_cells"]

Matrix = NDArray[np.float64]
_HEX_DIGITS = 2  # 256 groups: the standard error of a difference is known to about 4 %
_ALL = 2**31


@dataclass(frozen=True)
class Sums:
    """Counts and bases of every cell, per side and group of customers.

    Parameters
    ----------
    cells
        One row per cell, with the columns that name it.
    rows
        One row per side, group and cell that occurs: ``side`` (0 or 1), ``group``, ``cell``,
        ``count``.
    bases
        Denominators, of shape (2, groups, kinds).
    kind
        For each cell, the column of its denominator in ``bases``.
    """

    cells: pd.DataFrame
    rows: pd.DataFrame
    bases: Matrix
    kind: NDArray[np.int64]

    def only(self, wanted: NDArray[np.bool_]) -> Sums:
        """The same for some of the cells.

        Parameters
        ----------
        wanted
            For each cell whether to keep it.

        Returns
        -------
        Sums
            Cells in their order.
        """
        place = np.cumsum(wanted) - 1
        rows = self.rows[wanted[self.rows["cell"].to_numpy()]]
        rows = rows.assign(cell=place[rows["cell"].to_numpy()])
        return replace(
            self,
            cells=self.cells[wanted].reset_index(drop=True),
            rows=rows,
            kind=self.kind[wanted],
        )

    def totals(self) -> Matrix:
        """Count of each cell on both sides together."""
        found = np.zeros(len(self.cells))
        np.add.at(found, self.rows["cell"].to_numpy(), self.rows["count"].to_numpy())
        return found

    def counts(self, begin: int, end: int) -> Matrix:
        """Counts of the cells from ``begin`` to before ``end``, of shape (2, groups, cells)."""
        wanted = self.rows[self.rows["cell"].between(begin, end - 1)]
        found = np.zeros((2, self.bases.shape[1], end - begin))
        place = (wanted["side"], wanted["group"], wanted["cell"] - begin)
        np.add.at(found, tuple(part.to_numpy() for part in place), wanted["count"].to_numpy())
        return found


def count_groups(
    function: Callable[..., pd.DataFrame],
    measure: Measure,
    logs: tuple[Journeys, Journeys],
    options: dict[str, Any],
    seed: int,
) -> pd.DataFrame:
    """Frame of the measure for each side and each group of customers.

    Parameters
    ----------
    function
        The measure.
    measure
        How its frame is read.
    logs
        The two logs.
    options
        Options of the measure.
    seed
        Changes who is grouped with whom.

    Returns
    -------
    pandas.DataFrame
        What the measure gives, with ``cx_side`` (0 or 1) and ``cx_group`` (text) to name the side
        and the group.

    Notes
    -----
    A customer's group is made of the first digits of an MD5 sum: the same in both logs, on every
    engine, and in whatever order rows come.
    """
    options = dict(options)
    by = as_list(options.pop("by", None))
    if measure.is_cut:
        options["top"] = _ALL
    if measure.is_joint:
        both = function(_join(*(_grouped(log, seed) for log in logs)), by=[*by, SIDE, GROUP],
                        **options)  # fmt: skip
        return both.assign(**{SIDE: both[SIDE].astype("int64")})
    frames = [function(_grouped(log, seed), by=[*by, GROUP], **options) for log in logs]
    return pd.concat(
        [frame.assign(**{SIDE: side}) for side, frame in enumerate(frames)], ignore_index=True
    )


def sum_cells(frame: pd.DataFrame, measure: Measure, ratio: Ratio, by: list[str]) -> Sums:
    """Counts and bases of every cell.

    Parameters
    ----------
    frame
        What ``count_groups`` gives.
    measure, ratio
        How it is read.
    by
        Columns of groups that are compared apart.

    Returns
    -------
    Sums
        Cells in the order of their names.
    """
    if measure.prepare is not None:
        frame = measure.prepare(frame, [*by, SIDE, GROUP])
    keys, over = [*by, *measure.cells], [*by, *ratio.over]
    for name in (ratio.count, ratio.base):
        if name not in frame.columns:
            raise CxError(
                f"the measure counts no {name.removeprefix('cx_')!r} here; give the option that it "
                "takes for this value, such as outcome="
            )
    frame = frame.assign(
        side=frame[SIDE],
        group=pd.factorize(frame[GROUP], sort=True)[0],
        cell=frame.groupby(keys).ngroup() if keys else 0,
        kind=frame.groupby(over).ngroup() if over else 0,
        count=frame[ratio.count].astype("float64"),
    )
    cells = frame.drop_duplicates("cell").sort_values("cell", ignore_index=True)
    shape = [int(frame[name].max()) + 1 if len(frame) else 0 for name in ("group", "kind")]
    bases = np.zeros((2, *shape))
    place = tuple(frame[name].to_numpy() for name in ("side", "group", "kind"))
    np.add.at(bases, place, frame[ratio.base].fillna(0).to_numpy(dtype="float64"))
    rows = frame[["side", "group", "cell", "count"]]
    return Sums(cells[keys], rows, bases, cells["kind"].to_numpy(dtype="int64"))


def _grouped(log: Journeys, seed: int) -> Journeys:
    """The log with the group of each customer."""
    digest = (ibis.literal(f"{seed}/") + log.events.customer_id).hexdigest("md5")
    return replace(log, events=log.events.mutate(**{GROUP: digest.substr(0, _HEX_DIGITS)}))


def _join(log_a: Journeys, log_b: Journeys) -> Journeys:
    """Both logs in one, each customer and journey in either of them apart."""
    if log_a.events.get_backend() is not log_b.events.get_backend():
        raise CxError(
            "the two logs live on different connections, and this measure counts them in one; "
            "cut both from the same log, or load both over one connection"
        )
    sides = list(enumerate((log_a, log_b)))
    shared = [name for name in log_a.events.columns if name in log_b.events.columns]
    events = [_apart(log.events.select(shared), side) for side, log in sides]
    journeys = [
        _apart(log.journeys.select(log_a.journeys.columns), side, "journeys") for side, log in sides
    ]
    return replace(
        log_a,
        events=events[0].union(events[1]),
        journeys=journeys[0].union(journeys[1]),
        observed_until=max(log_a.observed_until, log_b.observed_until),
    )


def _apart(table: ir.Table, side: int, kind: str = "events") -> ir.Table:
    names = ["customer_id", "journey_id", *(["event_id"] if kind == "events" else [])]
    own = {name: ibis.literal(f"{side}/") + table[name] for name in names}
    return table.mutate(**own, **{SIDE: ibis.literal(str(side))})
