"""Widgets of the dashboards: a chart with its table, figures in tiles, and the session."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import pandas as pd
import plotly.graph_objects as go
from traitlets import Unicode

from cxlib.plot import figure_template
from cxlib.plot.canvas import plain

__all__ = ["Chart", "Session", "Table", "Tile", "Tiles"]

_ASSETS = Path(__file__).parent / "assets"
_MOST_ROWS = 20_000  # of a table that goes to the browser
_SHARES = ("share", "rate", "probability", "survival", "lower", "upper", "of_")


@cache
def _text(name: str) -> str:
    # As text and not as a path: anywidget would watch a file for changes in a thread.
    return (_ASSETS / name).read_text("utf-8")


@cache
def _plotly_gzipped() -> bytes:
    from plotly.offline import get_plotlyjs

    return gzip.compress(get_plotlyjs().encode(), 6, mtime=0)


@cache
def _themes() -> dict[str, Any]:
    return {theme: figure_template(theme).to_plotly_json() for theme in ("light", "dark")}


class Chart(anywidget.AnyWidget):
    """Chart of a dashboard: figure, reading, notes, table, downloads.

    Parameters
    ----------
    name
        Stem of the names of downloaded files.
    as_of
        Until when the data go, for the downloaded picture.
    on_pick
        Called with the name of a touchpoint when its node is clicked.

    Notes
    -----
    Everything goes to the browser in one trait, ``state``, as JSON. plotly.js is loaded once per
    page, and nothing is fetched from elsewhere. A figure that was shown stays on screen when
    the next one fails.

    Examples
    --------
    >>> chart = Chart("flows")
    >>> chart.show(go.Figure())
    >>> json.loads(chart.state)["kind"]
    'ready'
    """

    _esm = _text("chart.js")
    _css = _text("page.css")
    state = Unicode("{}").tag(sync=True)

    def __init__(
        self, name: str = "chart", *, as_of: str = "", on_pick: Callable[[str], None] | None = None
    ) -> None:
        """Make an empty chart that says it is waiting."""
        super().__init__()
        self._fixed = {"name": name, "as_of": as_of, "pickable": on_pick is not None}
        self._content: dict[str, Any] = {"kind": "waiting", "version": 0}
        self._on_pick = on_pick
        self.on_msg(self._receive)
        self._put(kind="waiting")

    def show(
        self, figure: go.Figure, table: pd.DataFrame | None = None, notes: Sequence[str] = ()
    ) -> None:
        """Show a figure with its table and its notes."""
        content = json.loads(figure.to_json())
        content["layout"].pop("template", None)  # the page has both themes
        self._put(
            kind="ready",
            message="",
            figure=content,
            table=None if table is None else _table(table),
            notes=list(notes),
            version=self._content["version"] + 1,
        )

    def wait(self) -> None:
        """Say that the next figure is on its way."""
        self._put(kind="waiting")

    def fail(self, sentence: str) -> None:
        """Say why there is no new figure; the last one stays."""
        self._put(kind="error", message=sentence)

    def _put(self, **changes: Any) -> None:
        self._content = {**self._fixed, **self._content, **changes}
        self.state = json.dumps(self._content, separators=(",", ":"))

    def _receive(self, _: Any, content: dict[str, Any], __: Any) -> None:
        # What a browser sends is not to be trusted: only what is expected is acted on.
        kind = content.get("type")
        if kind == "assets":
            buffers = [_plotly_gzipped()] if content.get("plotly") is not False else None
            self.send({"type": "assets", "templates": _themes()}, buffers)
        elif kind == "pick" and self._on_pick is not None and isinstance(content.get("name"), str):
            self._on_pick(content["name"])


class Table(Chart):
    """Table of a dashboard, as a card of its own.

    Parameters
    ----------
    name
        Stem of the name of the downloaded file.
    title
        What it shows.
    as_of
        Until when the data go.

    Examples
    --------
    >>> table = Table("medians", "Median time")
    >>> table.show(pd.DataFrame({"plan": ["pro"], "n": [12]}))
    >>> json.loads(table.state)["table"]["rows"]
    [['pro', 12]]
    """

    def __init__(self, name: str = "table", title: str = "", *, as_of: str = "") -> None:
        """Make an empty table that says it is waiting."""
        super().__init__(name, as_of=as_of)
        self._fixed["title"] = title

    def show(self, table: pd.DataFrame, notes: Sequence[str] = ()) -> None:  # type: ignore[override]
        """Show a table with its notes."""
        self._put(
            kind="ready",
            message="",
            figure=None,
            table=_table(table),
            notes=list(notes),
            version=self._content["version"] + 1,
        )


def _table(frame: pd.DataFrame) -> dict[str, Any]:
    kinds = [_kind(name, frame[name]) for name in frame.columns]
    values = frame.head(_MOST_ROWS)
    return {
        "columns": [
            {"name": str(name), "label": plain(name), "kind": kind}
            for name, kind in zip(frame.columns, kinds, strict=True)
        ],
        # Through JSON, because that is where NaN, timestamps and NumPy's numbers become plain.
        "rows": json.loads(values.to_json(orient="values", date_format="iso", double_precision=10)),
    }


def _kind(name: object, values: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return "name" if str(name).endswith("touchpoint") else "text"
    if pd.api.types.is_integer_dtype(values):
        return "integer"
    within = values.dropna().between(0, 1).all()
    named = any(part in str(name) for part in _SHARES)
    return "share" if named and within else "number"


@dataclass(frozen=True)
class Tile:
    """One figure of a dashboard.

    Parameters
    ----------
    label
        What it is.
    value
        As it is shown: "1,234".
    note
        A line below, such as the change since the period before.

    Examples
    --------
    >>> Tile("customers", "1,234").value
    '1,234'
    """

    label: str
    value: str
    note: str = ""


class Tiles(widgets.HTML):
    """Figures in a row.

    Examples
    --------
    >>> tiles = Tiles()
    >>> tiles.show(Tile("customers", "1,234", "12 more than before"))
    >>> "1,234" in tiles.value
    True
    """

    def __init__(self) -> None:
        """Make a row without figures."""
        super().__init__()
        self.add_class("cx-tiles")

    def show(self, *tiles: Tile) -> None:
        """Show the given figures."""
        self.remove_class("cx-waiting")
        self.value = "<dl>" + "".join(_tile(tile) for tile in tiles) + "</dl>"

    def wait(self) -> None:
        """Say that the next figures are on their way."""
        self.add_class("cx-waiting")

    def fail(self, sentence: str) -> None:
        """Say why there are no figures."""
        self.remove_class("cx-waiting")
        self.value = f'<p class="cx-message" role="status">{escape(sentence)}</p>'


def _tile(tile: Tile) -> str:
    note = f"<dd>{escape(tile.note)}</dd>" if tile.note else ""
    return (
        f'<div><dt>{escape(tile.label)}</dt><dd class="cx-value">{escape(tile.value)}</dd>'
        f"{note}</div>"
    )


class Session(anywidget.AnyWidget):
    """Link between a page and its kernel: signs of life, and filters in the address.

    Parameters
    ----------
    on_wanted
        Called with the filters of the address that the page was opened with, as text.

    Examples
    --------
    >>> session = Session(on_wanted=print)
    >>> session.keep({"steps": "4"})
    >>> session.filters
    '{"steps": "4"}'
    """

    _esm = _text("session.js")
    filters = Unicode("{}").tag(sync=True)
    wanted = Unicode("{}").tag(sync=True)

    def __init__(self, *, on_wanted: Callable[[dict[str, str]], None]) -> None:
        """Make the link; the page's filters come once it is open."""
        super().__init__()
        self._on_wanted = on_wanted
        self.on_msg(self._receive)
        self.observe(self._want, names="wanted")

    def keep(self, filters: dict[str, str]) -> None:
        """Put the filters into the address, so that a copied link opens with them."""
        self.filters = json.dumps(filters)

    def _receive(self, _: Any, content: dict[str, Any], __: Any) -> None:
        if content.get("type") == "ping":
            self.send({"type": "pong"})

    def _want(self, change: Any) -> None:
        try:
            wanted = json.loads(change["new"])
        except json.JSONDecodeError:
            return
        if isinstance(wanted, dict):
            self._on_wanted({str(name): str(value) for name, value in wanted.items()})
