"""What customers score and write, as a sentiment from -1 (worst) to 1 (best)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.writing import create_table, insert_rows, row_count
from cxlib.errors import unknown_name
from cxlib.ingest.texts import FEWEST_PAIRS, Scorer, fit_calibration, text_sentiment

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["SCALES", "TextSentiments", "read_texts", "score_sentiment"]

_BATCH = 20_000
_MOST_PAIRS = 50_000
_LANGUAGES_SHOWN = 5

SCALES = {
    "nps": (0.0, 7.5, 10.0),
    "csat": (1.0, 3.0, 5.0),
    "ces": (1.0, 4.0, 7.0),
}
"""Worst, neutral and best score of each scale: recommendation, satisfaction, ease."""


def score_sentiment(score: ir.NumericValue, scale: str) -> ir.FloatingValue:
    """Sentiment of a score: linear from worst to neutral (0), and from neutral to best.

    Parameters
    ----------
    score
        The score, in the units of its scale.
    scale
        ``"nps"`` (0 to 10, neutral 7.5), ``"csat"`` (1 to 5, neutral 3) or ``"ces"`` (1 to 7,
        neutral 4; 7 is easiest).

    Returns
    -------
    ibis.expr.types.FloatingValue
        From -1 to 1; null where the score is null or outside its scale.

    Raises
    ------
    CxError
        For an unknown scale.

    Examples
    --------
    >>> [score_sentiment(ibis.literal(s), "nps").execute() for s in (0.0, 7.5, 10.0)]
    [-1.0, 0.0, 1.0]
    >>> score_sentiment(ibis.literal(3.75), "nps").execute()
    -0.5
    """
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    worst, neutral, best = SCALES[scale]
    below = (score - neutral) / (neutral - worst)
    above = (score - neutral) / (best - neutral)
    inside = score.between(worst, best)
    return ibis.cases((inside & (score < neutral), below), (inside, above), else_=None)


@dataclass(frozen=True)
class TextSentiments:
    """The sentiment of every text that customers wrote.

    Attributes
    ----------
    read
        ``cx_text`` and ``cx_sentiment``, null where it could not be read; None where nobody wrote.
    findings
        For the ``quality`` table: texts that could not be read, by source, and how a calibration
        went.
    """

    read: ir.Table | None
    findings: list[dict[str, object]]

    def add_to(self, events: ir.Table) -> ir.Table:
        """Events whose sentiment comes from their score, or else from their text, without the text.

        Parameters
        ----------
        events
            Events with ``cx_text``, which may be null.

        Returns
        -------
        ibis.expr.types.Table
            As many; with ``sentiment_from`` ("score", "text" or null) where anybody wrote.
        """
        if self.read is None:
            return events.drop("cx_text")
        joined = events.left_join(self.read, "cx_text").drop("cx_text_right")
        source = ibis.cases(
            (joined.sentiment.notnull(), "score"),
            (joined.cx_sentiment.notnull(), "text"),
            else_=None,
        )
        scored = joined.mutate(
            sentiment=ibis.coalesce(joined.sentiment, joined.cx_sentiment), sentiment_from=source
        )
        return scored.drop("cx_text", "cx_sentiment")


def read_texts(
    con: BaseBackend,
    events: ir.Table,
    *,
    scorer: Scorer | None = None,
    calibrate: bool = False,
    known: Path | None = None,
) -> TextSentiments:
    """Sentiment of the texts of events.

    Parameters
    ----------
    con
        The connection that the snapshot is written through.
    events
        All events, with ``cx_text``, which may be null.
    scorer
        What reads the texts; VADER by default.
    calibrate
        Whether to bring texts to the scale of the scores that stand beside texts.
    known
        Parquet file of the texts that this scorer has read before, by their hashes; it is written
        anew, with the texts of these events.

    Returns
    -------
    TextSentiments
        To be added to these events, or to some of them.

    Notes
    -----
    Each distinct text is read once, in batches. A calibration learns from at most 50,000 pairs,
    drawn by the hash of the event's id.
    """
    written = events.filter(events.cx_text.notnull())
    if not row_count(written):
        return TextSentiments(None, [])
    read = _read_distinct(con, written.select("cx_text").distinct(), scorer, known)
    findings = _unreadable(
        written.select("event_id", "source", "cx_text").left_join(read, "cx_text")
    )
    if calibrate:
        read, finding = _calibrated(con, written, read)
        findings.append(finding)
    return TextSentiments(read.select("cx_text", cx_sentiment="sentiment"), findings)


def _read_distinct(
    con: BaseBackend, texts: ir.Table, scorer: Scorer | None, known: Path | None
) -> ir.Table:
    """Table of each text's language and sentiment."""
    keyed = texts.mutate(cx_key=texts.cx_text.hexdigest("sha256"))
    schema = ibis.schema(
        {"cx_key": "string", "cx_text": "string", "language": "string", "sentiment": "float64"}
    )
    read = con.create_table("cx_texts", schema=schema, temp=True)
    if known is not None and known.is_file():
        before = con.read_parquet(known)
        insert_rows(con, "cx_texts", keyed.inner_join(before, "cx_key").select(*schema))
        keyed = keyed.anti_join(before, "cx_key")
    numbered = keyed.mutate(cx_number=ibis.row_number().over(order_by=keyed.cx_text))
    waiting = create_table(con, "cx_texts_waiting", numbered, temp=True)
    n = row_count(waiting)
    for start in range(0, n, _BATCH):
        batch = waiting.filter(waiting.cx_number.between(start, start + _BATCH - 1))
        given = batch.order_by("cx_number").select("cx_key", "cx_text").to_pandas()
        frame = given.join(text_sentiment(given["cx_text"], scorer=scorer))
        insert_rows(con, "cx_texts", ibis.memtable(frame[list(schema)], schema=schema))
    if known is not None:
        _keep_read(con, read, known)
    return read.drop("cx_key")


def _keep_read(con: BaseBackend, read: ir.Table, known: Path) -> None:
    new = known.with_name(f".writing-{known.name}")
    con.to_parquet(read.drop("cx_text"), new)
    os.replace(new, known)


def _unreadable(written: ir.Table) -> list[dict[str, object]]:
    """Findings on the texts that gave no sentiment, one per source."""
    lost = written.sentiment.isnull()
    counted = written.group_by("source", language=written.language.fill_null("no words")).aggregate(
        n=written.count(), failing=lost.sum(), example=written.event_id.min(where=lost)
    )
    findings: list[dict[str, object]] = []
    for source, frame in counted.to_pandas().groupby("source", sort=True):
        failing = frame[frame["failing"] > 0].sort_values(
            ["failing", "language"], ascending=[False, True]
        )
        kinds = [
            f"{n:,} {name}" for name, n in zip(failing["language"], failing["failing"], strict=True)
        ]
        findings.append(
            {
                "check": "text can be read for its sentiment",
                "source": str(source),
                "n": int(frame["n"].sum()),
                "failing": int(frame["failing"].sum()),
                "examples": ", ".join(failing["example"].dropna().sort_values().head(3)),
                "note": "no sentiment from: " + ", ".join(kinds[:_LANGUAGES_SHOWN])
                if kinds
                else "every text gave one",
            }
        )
    return findings


def _calibrated(
    con: BaseBackend, written: ir.Table, read: ir.Table
) -> tuple[ir.Table, dict[str, object]]:
    scored = written.filter(written.sentiment.notnull()).select(
        "event_id", "cx_text", score_sentiment="sentiment"
    )
    known = read.filter(read.sentiment.notnull()).select("cx_text", text_sentiment="sentiment")
    pairs = scored.inner_join(known, "cx_text")
    chosen = pairs.order_by(pairs.event_id.hexdigest("md5"), "event_id").limit(_MOST_PAIRS)
    frame = chosen.select("text_sentiment", "score_sentiment").to_pandas()
    finding = {"check": "texts are on the scale of the scores", "source": "", "examples": ""}
    if len(frame) < FEWEST_PAIRS:
        note = f"not calibrated: {len(frame)} texts have a score, and {FEWEST_PAIRS} are needed"
        return read, {**finding, "n": len(frame), "failing": 0, "note": note}
    calibration = fit_calibration(frame)
    values = read.select("sentiment").distinct().filter(read.sentiment.notnull())
    texts = values.to_pandas()["sentiment"]
    mapped = pd.DataFrame({"sentiment": texts, "calibrated": calibration.predict(texts)})
    table = create_table(con, "cx_calibrated", ibis.memtable(mapped), temp=True)
    joined = read.left_join(table, "sentiment")
    summary = calibration.summary.iloc[0]
    note = (
        f"calibrated: mean absolute error {summary['before']:.2f} before, {summary['after']:.2f} "
        f"after on texts not learned from; rank correlation {summary['spearman']:.2f}"
    )
    done = joined.select("cx_text", "language", sentiment=joined.calibrated)
    return done, {**finding, "n": len(frame), "failing": 0, "note": note}
