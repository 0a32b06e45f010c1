"""What the dashboards share: a page with filters, tiles and charts, and rules for what is shown.

A dashboard notebook loads, lays out and binds. Here is the rest: errors as sentences, small groups
hidden, the date of the data, and links that keep the filters.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

import ipywidgets as widgets
import pandas as pd

from cxlib.engine.store import open_store
from cxlib.errors import CxError
from cxlib.journeys.log import Journeys, load_journeys
from cxlib.journeys.overview import summary
from cxlib.plot.canvas import plain
from cxlib.publish.selection import LEAST, Selection
from cxlib.publish.widgets import Chart, Session, Table, Tile, Tiles
from cxlib.publish.wording import chance_note, enough, first_known, named, summary_tiles

__all__ = [
    "LEAST",
    "Chart",
    "Page",
    "Table",
    "Tile",
    "Tiles",
    "chance_note",
    "enough",
    "first_known",
    "named",
    "open_page",
    "plain",
    "summary_tiles",
]

_NOBODY = "Nobody matches these filters. Widen them, or reset them."
_TOO_FEW = (
    f"Fewer than {LEAST} customers match these filters. So few are not shown, "
    "so that nobody can be recognised."
)
_BROKEN = "This could not be drawn; the last chart that worked is still here. Try other filters."


class Target(Protocol):
    """Where a binding shows its result: a chart or tiles."""

    def show(self, *parts: Any) -> None:
        """Show the result."""

    def wait(self) -> None:
        """Say that it is on its way."""

    def fail(self, sentence: str) -> None:
        """Say why there is none."""


@dataclass(frozen=True)
class _Binding:
    target: Target
    draw: Callable[[], Any]
    to: frozenset[str] | None


def open_page(workspace: str | None = None) -> Page:
    """Page of a dashboard on the current snapshot of a workspace.

    Parameters
    ----------
    workspace
        Its folder; when not given, the environment variable ``CXLIB_WORKSPACE``, or else
        ``data/demo``.

    Returns
    -------
    Page
        Without filters and charts yet.

    Raises
    ------
    CxError
        When nothing has been built there.

    Examples
    --------
    >>> open_page("data/nowhere")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no store in 'data/nowhere'; run: cxlib build data/nowhere
    """
    store = open_store(workspace or os.environ.get("CXLIB_WORKSPACE") or "data/demo")
    return Page(Selection(store, load_journeys(store)))


class Page:
    """One dashboard: its data, its filters, and what is bound to them.

    Parameters
    ----------
    selection
        The data.

    Attributes
    ----------
    controls
        The filters, by their names in the address of the page.

    Examples
    --------
    >>> page = open_page("data/demo")
    >>> _ = page.choose("steps", "Steps", [4, 6, 8])
    >>> page["steps"]
    4
    """

    def __init__(self, selection: Selection) -> None:
        """Make a page without filters and charts."""
        self.selection = selection
        self.controls: dict[str, Any] = {}
        self.session = Session(on_wanted=self.set_filters)
        self._initial: dict[str, Any] = {}
        self._bindings: list[_Binding] = []
        self._held: set[str] | None = None
        self._summaries: dict[tuple[Any, Any], pd.DataFrame] = {}

    def __getitem__(self, name: str) -> Any:
        """Value of a filter, None where the page has no such filter."""
        return self.controls[name].value if name in self.controls else None

    @property
    def log(self) -> Journeys:
        """Journeys that the filters leave; what a binding calls a noun with."""
        return self.selection.journeys(self["customers"], self["period"])

    @property
    def as_of(self) -> str:
        """Until when the data go, for readers."""
        until = self.selection.whole.observed_until
        return f"{until.day} {until:%B %Y}"

    def groups(self, name: str) -> tuple[str | None, Journeys, dict[str, Any]]:
        """What a filter of ``choose_groups`` says, for ``cxlib.time_to_event``.

        Returns
        -------
        tuple of str or None, Journeys and dict
            The column to group by, the log that has it, and from when customers count: segments
            are followed from the day on which they were taken.
        """
        by = self[name] or None
        window: dict[str, Any] = {"window_start": self.selection.whole.observed_from}
        if by is None:
            return None, self.selection.whole, window
        log = self.selection.grouped(by)
        if by != "segment":
            return by, log, window
        window = {"window_start": self.selection.year_before, "origin": "window_start"}
        return by, log, window

    def summary(self) -> pd.DataFrame:
        """What ``cxlib.summary`` says of ``log``, counted once for each setting of the filters."""
        key = (self["customers"], self["period"])
        if key not in self._summaries:
            self._summaries[key] = summary(self.log)
        return self._summaries[key]

    def summary_before(self) -> pd.DataFrame | None:
        """The same for the period of equal length before, or None where there is none."""
        log = self.selection.before(self["customers"], self["period"])
        return None if log is None else summary(log)

    def choose(
        self, name: str, label: str, options: Sequence[Any], value: Any = None, tip: str = ""
    ) -> widgets.Dropdown:
        """Filter: one of several.

        Parameters
        ----------
        name
            Its name in the address of the page.
        label
            What stands above it.
        options
            Values, or pairs of a text and a value.
        value
            The first choice; the first option when it is not given, or not among them.
        tip
            What it says when pointed at.

        Returns
        -------
        ipywidgets.Dropdown
            Part of the page already.
        """
        control = widgets.Dropdown(description=label, options=list(options), tooltip=tip)
        values = _values(control)
        control.value = value if value in values else values[0]
        return self._add(name, control)

    def switch(self, name: str, label: str, value: bool = False, tip: str = "") -> widgets.Checkbox:
        """Filter: yes or no; parameters as for ``choose``."""
        control = widgets.Checkbox(description=label, value=value, indent=False, tooltip=tip)
        return self._add(name, control)

    def choose_customers(self) -> widgets.Dropdown:
        """Filter: all customers, or those who share the value of an attribute."""
        groups = self.selection.groups
        options = [("all customers", "all"), *((groups[name].text, name) for name in groups)]
        return self.choose("customers", "Customers", options)

    def choose_period(self) -> widgets.Dropdown:
        """Filter: all journeys, or those that started in the last months."""
        options = ["all of the data", *self.selection.periods]
        return self.choose("period", "Journeys that started in", options)

    def choose_groups(self, name: str, label: str, wanted: Sequence[str] = ()) -> widgets.Dropdown:
        """Filter: which groups to compare; none, by an attribute, or by RFM segment.

        ``wanted`` names attributes, of which the first that exists is the first choice.
        """
        day = self.selection.year_before
        options = [
            ("no groups", ""),
            *((plain(attribute), attribute) for attribute in self.selection.attributes),
            (f"segment on {day.day} {day:%B %Y}", "segment"),
        ]
        values = [value for _, value in options]
        return self.choose(name, label, options, value=first_known(wanted, values[1:]))

    def setter(self, name: str) -> Callable[[Any], None]:
        """Function that sets a filter, if it has the value; for clicks on a chart."""

        def set_filter(value: Any) -> None:
            if value in _values(self.controls[name]):
                self.controls[name].value = value

        return set_filter

    def set_filters(self, wanted: Mapping[str, str]) -> None:
        """Set filters from text, as the address has them; what does not exist is left out."""
        with self._one_update():
            for name, text in wanted.items():
                control = self.controls.get(name)
                if isinstance(control, widgets.Checkbox):
                    control.value = text == "True"
                elif isinstance(control, widgets.Dropdown):
                    known = {str(value): value for value in _values(control)}
                    control.value = known.get(text, control.value)

    def reset(self) -> None:
        """Set every filter to its first choice."""
        with self._one_update():
            for name, control in self.controls.items():
                control.value = self._initial[name]

    def bind(
        self, target: Target, draw: Callable[[], Any], *, to: Iterable[str] | None = None
    ) -> None:
        """Show what a function gives, now and whenever a filter changes.

        Parameters
        ----------
        target
            A chart or tiles.
        draw
            Gives what the target shows: for a chart a figure, or a tuple of a figure, its table and
            a list of notes; for tiles a tuple of tiles.
        to
            Names of the filters that it depends on; all when not given.

        Notes
        -----
        An error is one sentence to the viewer and a traceback in the server's log, and the last
        chart stays. Where the filters leave fewer than 10 customers nothing is drawn.
        """
        binding = _Binding(target, draw, None if to is None else frozenset(to))
        self._bindings.append(binding)
        self._run(binding)

    def lay_out(
        self,
        *,
        tiles: Tiles | None = None,
        charts: Sequence[Chart] = (),
        definitions: Mapping[str, str] | None = None,
    ) -> widgets.VBox:
        """The page: date of the data, filters, tiles, charts, and what the words mean."""
        button = widgets.Button(
            description="Reset filters", tooltip="Set every filter to its first choice"
        )
        button.on_click(lambda _: self.reset())
        parts = [self._stamp(), _box(widgets.Box, "cx-filters", *self.controls.values(), button)]
        if tiles is not None:
            parts.append(tiles)
        parts.append(_box(widgets.Box, "cx-row", *charts))
        if definitions:
            parts.append(_definitions(definitions))
        return _box(widgets.VBox, "cx-page", *parts, self.session)

    def _add(self, name: str, control: Any) -> Any:
        self.controls[name] = control
        self._initial[name] = control.value
        control.observe(lambda _: self._update({name}), names="value")
        return control

    @contextmanager
    def _one_update(self) -> Iterator[None]:
        """Let several filters change and draw once."""
        self._held = set()
        try:
            yield
        finally:
            changed, self._held = self._held, None
            if changed:
                self._update(changed)

    def _update(self, changed: set[str]) -> None:
        if self._held is not None:
            self._held |= changed
            return
        now = {name: control.value for name, control in self.controls.items()}
        moved = {name: str(value) for name, value in now.items() if value != self._initial[name]}
        self.session.keep(moved)
        due = [b for b in self._bindings if b.to is None or changed & b.to]
        for binding in due:
            binding.target.wait()
        for binding in due:
            self._run(binding)

    def _run(self, binding: _Binding) -> None:
        try:
            customers = int(self.summary()["customers"].iloc[0])
            if customers < LEAST:
                binding.target.fail(_TOO_FEW if customers else _NOBODY)
                return
            shown = binding.draw()
            binding.target.show(*(shown if isinstance(shown, tuple) else (shown,)))
        except CxError as error:
            binding.target.fail(_sentence(str(error)))
        except Exception:
            # The kernel's own stderr belongs to a notebook that nobody sees.
            traceback.print_exc(file=sys.__stderr__)
            binding.target.fail(_BROKEN)

    def _stamp(self) -> widgets.HTML:
        meta = self.selection.store.meta
        counts = meta.get("counts", {})
        html = widgets.HTML(
            f"<p><strong>{escape(str(meta.get('name', '')))}</strong>, data as of "
            f"<strong>{self.as_of}</strong>: {counts.get('customers', 0):,} customers, "
            f"{counts.get('journeys', 0):,} journeys, {counts.get('events', 0):,} events. "
            f"Groups of fewer than {LEAST} customers are not shown.</p>"
        )
        html.add_class("cx-asof")
        return html


def _values(control: widgets.Dropdown) -> list[Any]:
    return [option[1] if isinstance(option, tuple) else option for option in control.options]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _box(kind: type[widgets.Box], name: str, *children: widgets.Widget) -> widgets.Box:
    box = kind(list(children))
    box.add_class(name)
    return box


def _definitions(definitions: Mapping[str, str]) -> widgets.HTML:
    rows = "".join(
        f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in definitions.items()
    )
    html = widgets.HTML(f"<details><summary>What the words mean</summary><dl>{rows}</dl></details>")
    html.add_class("cx-definitions")
    return html
