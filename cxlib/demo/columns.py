"""Arrays of codes and seconds as the text columns of an export."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["as_ids", "as_times", "at_day", "choose", "glue", "misspell", "pick", "where"]

_HOUR = 3_600


def choose(rng: np.random.Generator, shares: Sequence[float], size: int) -> NDArray[np.int64]:
    """Codes drawn with the given shares, which need not add up to 1.

    Examples
    --------
    >>> choose(np.random.default_rng(7), [1, 0], 3).tolist()
    [0, 0, 0]
    """
    edges = np.cumsum(np.asarray(shares, dtype=float))
    return np.searchsorted(edges[:-1], rng.random(size) * edges[-1], side="right")


def pick(words: Sequence[str], codes: NDArray[np.integer]) -> pa.Array:
    """The word of each code; null for a negative one.

    Examples
    --------
    >>> pick(["web", "phone"], np.array([1, -1])).to_pylist()
    ['phone', None]
    """
    return pa.array(words, pa.string()).take(pa.array(codes, mask=codes < 0))


def glue(*parts: pa.Array | str) -> pa.Array:
    """Texts joined end to end; null where a part is null.

    Examples
    --------
    >>> glue("no. ", pa.array(["1", None])).to_pylist()
    ['no. 1', None]
    """
    return pc.binary_join_element_wise(*parts, "")


def as_ids(prefix: str, numbers: NDArray[np.integer], width: int = 8) -> pa.Array:
    """Ids of equal length; null for a negative number.

    Examples
    --------
    >>> as_ids("B", np.array([12, -1])).to_pylist()
    ['B00000012', None]
    """
    digits = pa.array(numbers, mask=numbers < 0).cast(pa.string())
    return glue(prefix, pc.utf8_lpad(digits, width, "0"))


def where(
    mask: NDArray[np.bool_], yes: pa.Array | str | None, no: pa.Array | str | None
) -> pa.Array:
    """One text or the other.

    Examples
    --------
    >>> where(np.array([True, False]), "a", pa.array(["x", "y"])).to_pylist()
    ['a', 'y']
    """
    texts = [pa.scalar(each, pa.string()) if not isinstance(each, pa.Array) else each
             for each in (yes, no)]  # fmt: skip
    return pc.if_else(pa.array(mask), *texts)


def at_day(seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same moments on the same date, but between 11:00 and 24:00 UTC: day in New York.

    The map is monotone and the same on every date, so orders stay as they are, and so do spans of
    whole days.

    Examples
    --------
    >>> (at_day(np.array([0, 43_200, 86_399])) / 3_600).round(2).tolist()
    [11.0, 17.5, 24.0]
    """
    date, time = np.divmod(seconds, 24 * _HOUR)
    return date * 24 * _HOUR + 11 * _HOUR + time * 13 // 24


def as_times(
    seconds: NDArray[np.int64], missing: NDArray[np.bool_] | None = None, *, style: str = "utc"
) -> pa.Array:
    """Moments in UTC as a system writes them.

    Parameters
    ----------
    seconds
        Seconds since 1970.
    missing
        Where there is none.
    style
        ``"utc"`` (no offset), ``"z"`` (ISO 8601 with Z), ``"local"`` (New York, no offset) or
        ``"offset"`` (New York, with its offset), ``"date"`` (UTC), ``"us_date"`` (month first).

    Examples
    --------
    >>> noon = np.array([1_720_008_000])
    >>> for style in ("utc", "z", "local", "offset", "us_date"):
    ...     print(as_times(noon, style=style)[0])
    2024-07-03 12:00:00
    2024-07-03T12:00:00Z
    2024-07-03 08:00:00
    2024-07-03T08:00:00-04:00
    07/03/2024
    """
    absent = None if missing is None else missing
    if style in ("local", "offset"):
        summer = _is_summer(seconds)
        seconds = seconds - np.where(summer, 4, 5) * _HOUR
    text = pa.array(seconds, pa.timestamp("s"), mask=absent).cast(pa.string())
    if style == "date":
        return pc.utf8_slice_codeunits(text, 0, 10)
    if style == "us_date":
        year, month, day = (
            pc.utf8_slice_codeunits(text, a, b) for a, b in ((0, 4), (5, 7), (8, 10))
        )
        return glue(month, "/", day, "/", year)
    if style in ("z", "offset"):
        text = pc.utf8_replace_slice(text, 10, 11, "T")
    if style == "z":
        return glue(text, "Z")
    return glue(text, where(summer, "-04:00", "-05:00")) if style == "offset" else text


def _is_summer(seconds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether New York keeps daylight-saving time: second Sunday of March to first of November."""
    years = np.arange(1970, 2101)
    march = np.array([f"{year}-03-08" for year in years], "datetime64[D]")
    november = np.array([f"{year}-11-01" for year in years], "datetime64[D]")
    # 1970-01-01 was a Thursday, so day 3 was the first Sunday; 02:00 there is 07:00 or 06:00 here.
    begins = march + (3 - march.astype(np.int64)) % 7
    ends = november + (3 - november.astype(np.int64)) % 7
    changes = np.empty(2 * years.size, np.int64)
    changes[0::2] = begins.astype("datetime64[s]").astype(np.int64) + 7 * _HOUR
    changes[1::2] = ends.astype("datetime64[s]").astype(np.int64) + 6 * _HOUR
    return np.searchsorted(changes, seconds, side="right") % 2 == 1


def misspell(rng: np.random.Generator, text: pa.Array, share: float) -> pa.Array:
    """Texts of which a share has lost, doubled or swapped a letter near its start.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> misspell(rng, pa.array(["daniela", "daniela"]), 1.0).to_pylist()
    ['danniela', 'dainela']
    """
    kind = np.where(rng.random(len(text)) < share, rng.integers(1, 4, len(text)), 0)
    start, one, two, rest = (
        pc.utf8_slice_codeunits(text, *span) for span in ((0, 2), (2, 3), (3, 4), (4, None))
    )
    text = where(kind == 1, glue(start, two, rest), text)
    text = where(kind == 2, glue(start, one, one, two, rest), text)
    return where(kind == 3, glue(start, two, one, rest), text)
