"""Hand-written DuckDB queries with the answers of the measures, on the same stored log.

They use what the store holds as its author would, and what cxlib knows of it: a query that had to
count ids where a flag stands would be no yardstick.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd

from cxlib.intervals import wilson_interval

STEPS = ["followed_link", "compared_offers", "opened_ticket", "paid_invoice"]
WITHIN_DAYS = 60

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_SLICES = 2_000

_TRANSITIONS = """
WITH moves AS (
  SELECT touchpoint AS from_touchpoint, next_touchpoint AS to_touchpoint, count(*) AS count,
    count_if(cx_new_to_journey) AS journeys, count_if(cx_new_to_customer) AS customers,
    quantile_cont(epoch_us(next_at) - epoch_us(occurred_at), [0.5, 0.95]) AS waits
  FROM events GROUP BY ALL
), starts AS (
  SELECT '(start)', touchpoint, count(*) AS n, n,
    count_if(cx_alone) + count(DISTINCT cx_customer) FILTER (WHERE NOT cx_alone), NULL
  FROM events WHERE step = 1 GROUP BY ALL
), both_kinds AS (SELECT * FROM moves UNION ALL SELECT * FROM starts)
SELECT from_touchpoint, to_touchpoint, count, journeys, customers,
  count / sum(count) OVER () AS share,
  count / sum(count) FILTER (WHERE from_touchpoint = '(start)') OVER () AS per_journey,
  count / sum(count) OVER (PARTITION BY from_touchpoint) AS probability,
  count / sum(count) OVER (PARTITION BY to_touchpoint) AS probability_in,
  waits[1] / 3.6e9 AS median_wait_hours, waits[2] / 3.6e9 AS p95_wait_hours
FROM both_kinds ORDER BY count DESC, from_touchpoint, to_touchpoint
"""

_FLOWS = """
WITH exact AS MATERIALIZED (
  SELECT step, touchpoint AS f, next_touchpoint AS t, count(*) AS n, count_if(cx_alone) AS alone
  FROM events WHERE step <= 10 GROUP BY ALL
), visits AS (
  SELECT step, f AS touchpoint, n FROM exact
  UNION ALL SELECT 11, t, n FROM exact WHERE step = 10 AND t NOT IN ('(end)', '(open)')
), named AS MATERIALIZED (
  SELECT step, touchpoint FROM visits GROUP BY step, touchpoint
  QUALIFY row_number() OVER (PARTITION BY step ORDER BY sum(n) DESC, touchpoint) <= 8
), links AS MATERIALIZED (
  SELECT e.*, coalesce(a.touchpoint, '(other)') AS from_touchpoint,
    CASE WHEN e.t IN ('(end)', '(open)') THEN e.t ELSE coalesce(b.touchpoint, '(other)') END
      AS to_touchpoint,
    dense_rank() OVER (ORDER BY e.step, from_touchpoint, to_touchpoint) AS link
  FROM exact e LEFT JOIN named a ON e.step = a.step AND e.f = a.touchpoint
    LEFT JOIN named b ON e.step = b.step - 1 AND e.t = b.touchpoint
), others AS (
  SELECT link, count(*) AS customers FROM (
    SELECT DISTINCT l.link, v.cx_customer
    FROM events v JOIN links l ON v.step = l.step AND v.touchpoint = l.f AND v.next_touchpoint = l.t
    WHERE v.step <= 10 AND NOT v.cx_alone
  ) GROUP BY link
)
SELECT step, from_touchpoint, to_touchpoint, sum(n)::BIGINT AS journeys,
  (sum(alone) + coalesce(any_value(o.customers), 0))::BIGINT AS customers,
  journeys / sum(journeys) OVER (PARTITION BY step) AS of_step
FROM links LEFT JOIN others o USING (link)
GROUP BY step, from_touchpoint, to_touchpoint
ORDER BY step, journeys DESC, from_touchpoint, to_touchpoint
"""

_STEP_MATRIX = """
WITH visits AS MATERIALIZED (
  SELECT step, touchpoint, count(*) AS n FROM events WHERE step <= 10 GROUP BY ALL
), kept AS (
  SELECT touchpoint FROM visits GROUP BY ALL ORDER BY sum(n) DESC, touchpoint LIMIT 12
), lasts AS (
  SELECT least(length, 10) AS last, is_open, count(*) AS n FROM journeys GROUP BY ALL
), cells AS (
  SELECT step, CASE WHEN touchpoint IN (FROM kept) THEN touchpoint ELSE '(other)' END AS touchpoint,
    sum(n) AS journeys
  FROM visits GROUP BY ALL
  UNION ALL
  SELECT s.step, CASE WHEN is_open THEN '(open)' ELSE '(end)' END, sum(n)
  FROM lasts, range(1, 11) s(step) WHERE last < s.step GROUP BY ALL
)
SELECT step, touchpoint, journeys::BIGINT AS journeys,
  (sum(journeys) OVER (PARTITION BY step))::BIGINT AS n, journeys / n AS share
FROM cells ORDER BY step, journeys DESC, touchpoint
"""

_RETENTION = """
WITH back AS (
  SELECT cx_customer, year(occurred_at) * 12 + month(occurred_at) AS held, count(*) AS n,
    sum(value) AS value
  FROM events GROUP BY ALL
), firsts AS (
  SELECT cx_customer, min(started_at) AS s, year(s) * 12 + month(s) AS cohort
  FROM journeys GROUP BY cx_customer
), cells AS (
  SELECT cohort, held - cohort AS period, count(*) AS customers, sum(n)::BIGINT AS events,
    coalesce(sum(value), 0.0) AS value
  FROM back JOIN firsts USING (cx_customer) GROUP BY ALL
), grid AS (
  SELECT cohort, customers AS n, p.period,
    make_timestamp((cohort - 1) // 12, (cohort - 1) % 12 + 1, 1, 0, 0, 0) AS begins
  FROM cells, range(0, 13) p(period) WHERE cells.period = 0
)
SELECT begins AS cohort, period, 'month ' || period AS label, n,
  coalesce(customers, 0) AS customers,
  coalesce(customers, 0) / n AS retention, coalesce(events, 0) AS events,
  coalesce(value, 0.0) AS value,
  coalesce(value, 0.0) / nullif(first(coalesce(value, 0.0)) OVER (PARTITION BY begins
    ORDER BY period), 0) AS revenue_retention,
  begins + to_months(period::INT + 1) <= ?::TIMESTAMP + INTERVAL 1 MICROSECOND AS complete
FROM grid LEFT JOIN cells USING (cohort, period)
WHERE begins + to_months(period::INT) <= ?::TIMESTAMP
ORDER BY begins, period
"""

_COMMON_PATHS = """
WITH known AS (
  SELECT path[:10] AS touchpoints, len(path) > 10 AS continues, cx_customer, is_open,
    CASE WHEN NOT is_open THEN (epoch_us(ended_at) - epoch_us(started_at)) / 3.6e9 END AS hours
  FROM journeys
), counts AS MATERIALIZED (
  SELECT touchpoints, continues, count(*) AS journeys FROM known GROUP BY ALL
), top AS MATERIALIZED (
  SELECT touchpoints, continues FROM counts ORDER BY journeys DESC, touchpoints, continues LIMIT 20
), totals AS (SELECT sum(journeys)::BIGINT AS n, count(*) AS paths FROM counts)
SELECT touchpoints::VARCHAR[] AS touchpoints, continues, count(*) AS journeys,
  count(DISTINCT cx_customer) AS customers, count_if(is_open) AS open,
  any_value(n) AS n, count(*) / any_value(n) AS share,
  any_value(paths) AS paths, median(hours) AS median_hours
FROM known JOIN top USING (touchpoints, continues), totals
WHERE len(touchpoints) <= (SELECT max(len(touchpoints)) FROM top)
GROUP BY ALL ORDER BY journeys DESC, touchpoints, continues
"""

_ATTEMPTS = """
CREATE OR REPLACE TEMP TABLE attempts AS
WITH e AS (
  SELECT cx_customer AS u, epoch_us(occurred_at) AS t, cx_place AS p, touchpoint FROM events
),
s1 AS (SELECT u, min(t) AS a1, min(p) AS p1 FROM e WHERE touchpoint = $one GROUP BY u),
s2 AS (SELECT u, min(t) AS a2, min(e.p) AS p2 FROM s1 JOIN e USING (u)
  WHERE touchpoint = $two AND e.p > p1 AND t - a1 <= $within GROUP BY u),
s3 AS (SELECT u, min(t) AS a3, min(e.p) AS p3 FROM s2 JOIN s1 USING (u) JOIN e USING (u)
  WHERE touchpoint = $three AND e.p > p2 AND t - a1 <= $within GROUP BY u),
s4 AS (SELECT u, min(t) AS a4 FROM s3 JOIN s1 USING (u) JOIN e USING (u)
  WHERE touchpoint = $four AND e.p > p3 AND t - a1 <= $within GROUP BY u)
SELECT u, a1, a2, a3, a4, 1 + (a2 IS NOT NULL)::INT + (a3 IS NOT NULL)::INT + (a4 IS NOT NULL)::INT
  AS reached, $until - a1 AS seen
FROM s1 LEFT JOIN s2 USING (u) LEFT JOIN s3 USING (u) LEFT JOIN s4 USING (u)
"""

_STEP = """
SELECT count_if(reached >= {rank} - 1) AS entering, count_if(reached >= {rank}) AS reached,
  count_if(reached = {rank} - 1 AND seen < $within) AS open,
  avg((a{rank} - a{before}) / 3.6e9) AS mean_step_hours,
  quantile_cont((a{rank} - a{before}) / 3.6e9, [0.5, 0.9]) AS of_step,
  of_step[1] AS median_step_hours, of_step[2] AS p90_step_hours,
  quantile_cont((a{rank} - a1) / 3.6e9, [0.5, 0.9]) AS of_entry,
  of_entry[1] AS median_entry_hours, of_entry[2] AS p90_entry_hours
FROM attempts
"""

_CURVE = """
SELECT (a{rank} - a1) // $width AS slice, 'took' AS kind, {rank} AS rank, count(*) AS count
FROM attempts WHERE reached >= {rank} GROUP BY ALL
"""
_LEFT = """
SELECT seen // $width AS slice, 'left' AS kind, reached AS rank, count(*) AS count
FROM attempts WHERE seen < $within GROUP BY ALL
"""


def transitions(con: duckdb.DuckDBPyConnection, _: str) -> pd.DataFrame:
    return con.execute(_TRANSITIONS).df()


def flows(con: duckdb.DuckDBPyConnection, _: str) -> pd.DataFrame:
    return con.execute(_FLOWS).df()


def step_matrix(con: duckdb.DuckDBPyConnection, _: str) -> pd.DataFrame:
    return con.execute(_STEP_MATRIX).df()


def retention(con: duckdb.DuckDBPyConnection, observed_until: str) -> pd.DataFrame:
    frame = con.execute(_RETENTION, [observed_until, observed_until]).df()
    frame["lower"], frame["upper"] = wilson_interval(frame["customers"], frame["n"])
    frame["observed"] = True  # the log is complete from each customer's start
    return frame


def common_paths(con: duckdb.DuckDBPyConnection, _: str) -> pd.DataFrame:
    frame = con.execute(_COMMON_PATHS).df()
    frame["rank"] = range(1, len(frame) + 1)
    frame["touchpoints"] = frame["touchpoints"].map(tuple)
    frame["path"] = frame["touchpoints"].map(" -> ".join)
    frame["coverage"] = frame["journeys"].cumsum() / frame["n"]
    frame["lower"], frame["upper"] = wilson_interval(frame["journeys"], frame["n"])
    return frame


def funnel(con: duckdb.DuckDBPyConnection, observed_until: str) -> pd.DataFrame:
    within = WITHIN_DAYS * _DAY
    until = int(pd.Timestamp(observed_until).value // 1_000)
    asked = dict(zip(("one", "two", "three", "four"), STEPS, strict=True))
    con.execute(_ATTEMPTS, {**asked, "within": within, "until": until})
    total = con.execute("SELECT count(DISTINCT cx_customer) FROM journeys").fetchone()[0]
    entered = con.execute("SELECT count(*) FROM attempts").fetchone()[0]
    rows = [{"entering": total, "reached": entered, "open": 0}]
    for rank in range(2, 5):
        query = _STEP.format(rank=rank, before=rank - 1)
        frame = con.execute(query, {"within": within}).df().drop(columns=["of_step", "of_entry"])
        rows += frame.to_dict("records")
    frame = pd.DataFrame(rows)
    frame["step"], frame["touchpoint"], frame["total"] = range(1, 5), STEPS, total
    frame["dropped"] = frame["entering"] - frame["reached"] - frame["open"]
    frame["n"] = frame["entering"] - frame["open"]
    entry = _shares(_curve(con, within), entered)
    frame["step_conversion_rate"] = [entered / total, *(entry[1:] / entry[:-1])]
    frame["entry_conversion_rate"] = entry
    frame["conversion_rate"] = entered / total * entry
    frame["lower"], frame["upper"] = wilson_interval(
        frame["step_conversion_rate"] * frame["n"], frame["n"]
    )
    known = entered - frame["open"].cumsum()
    frame["entry_lower"], frame["entry_upper"] = wilson_interval(entry * known, known)
    return frame


def _curve(con: duckdb.DuckDBPyConnection, within: int) -> pd.DataFrame:
    width = -(-within // _SLICES)
    parts = [_CURVE.format(rank=rank) for rank in range(2, 5)]
    frames = [con.execute(part, {"width": width}).df() for part in parts]
    frames.append(con.execute(_LEFT, {"width": width, "within": within}).df())
    return pd.concat(frames, ignore_index=True)


def _shares(curve: pd.DataFrame, entered: int) -> np.ndarray:
    """Share of those who entered that has taken each step, by Aalen and Johansen."""
    stand, risk = np.array([1.0, 0, 0, 0]), np.array([entered, 0, 0, 0], dtype="float64")
    # "took" comes before "left" within a slice, and earlier steps before later ones.
    curve = curve.sort_values(["slice", "kind", "rank"], ascending=[True, False, True])
    for kind, rank, count in curve[["kind", "rank", "count"]].itertuples(index=False):
        if kind == "left":
            risk[rank - 1] -= count
            continue
        part = stand[rank - 2] * count / risk[rank - 2]
        stand[rank - 2 : rank] += (-part, part)
        risk[rank - 2 : rank] += (-count, count)
    return stand[::-1].cumsum()[::-1]


QUERIES: dict[str, Callable[[duckdb.DuckDBPyConnection, str], pd.DataFrame]] = {
    "transitions": transitions,
    "flows": flows,
    "step_matrix": step_matrix,
    "funnel": funnel,
    "common_paths": common_paths,
    "retention": retention,
}
