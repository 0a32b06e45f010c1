"""Parameters of a notebook: what they take, and what happens where the data lack what they name."""

from __future__ import annotations

import ast
import datetime
import io
import json
import math
import os
import tokenize
import warnings
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from cxlib.errors import CxError, CxWarning, unknown_name

if TYPE_CHECKING:
    from cxlib.journeys.log import Journeys

__all__ = [
    "GIVEN",
    "Parameter",
    "ParameterError",
    "available",
    "fall_back",
    "known_touchpoints",
    "needed",
    "read_parameters",
    "used_values",
]

GIVEN = "CXLIB_GIVEN"
"""Environment variable by which a report tells its kernel which parameters a person has set."""


class ParameterError(CxError):
    """A person gave a parameter that cannot be used; nothing else is answered in its place.

    Parameters
    ----------
    name
        Of the parameter.
    reason
        Why it cannot be used.
    notebook
        Its file, where it is not plain.

    Examples
    --------
    >>> raise ParameterError("keep", "'abc' was given, and it takes a whole number")
    Traceback (most recent call last):
    ...
    cxlib.publish.parameters.ParameterError: parameter keep: 'abc' was given, and it takes a whole
    number
    """

    def __init__(self, name: str, reason: str, *, notebook: str = "") -> None:
        """Make the sentence of it."""
        super().__init__(f"{f'{notebook}: ' if notebook else ''}parameter {name}: {reason}")
        self.name = name


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook.

    Parameters
    ----------
    name
        Its name.
    default
        What the parameters cell sets it to.
    note
        The comment beside it.

    Examples
    --------
    >>> Parameter("keep", 8, "touchpoints to name").take("abc")
    Traceback (most recent call last):
    ...
    cxlib.publish.parameters.ParameterError: parameter keep: 'abc' was given, and it takes a whole
    number, such as 8
    """

    name: str
    default: Any
    note: str = ""

    def take(self, value: Any) -> Any:
        """The value, in the form of the default.

        A day becomes text, and one name where a list is wanted a list of one. Where the default is
        None everything is taken; None itself is, where the note says what "None:" means.

        Raises
        ------
        ParameterError
            When the value is of another type than the default.
        """
        plain = _plain(value)
        if self.default is None or (plain is None and "None:" in self.note):
            return plain
        if isinstance(self.default, list) and isinstance(plain, str):
            return [plain]
        if not _fits(plain, self.default):
            kind, example = _KINDS[type(self.default)], _written(self.default)
            raise ParameterError(
                self.name, f"{value!r} was given, and it takes {kind}, such as {example}"
            )
        return plain

    @property
    def line(self) -> str:
        """How it is listed, in the form that ``-p`` takes."""
        return f"{self.name}={_written(self.default)}"


_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "names with values",
}


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    return isinstance(value, int | float if isinstance(default, float) else type(default))


def _plain(value: Any) -> Any:
    """YAML reads 2024-03-01 as a day, and notebooks take text."""
    return value.isoformat() if isinstance(value, datetime.date) else value


def _written(value: Any) -> str:
    """As a person writes it after ``NAME=``."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False)
    return str(text).removesuffix("...\n").strip()


def read_parameters(source: str) -> dict[str, Parameter]:
    """Parameters that a cell sets, by name, with the comments beside them.

    Parameters
    ----------
    source
        The cell: assignments of plain values.

    Returns
    -------
    dict of str to Parameter
        In their order.

    Examples
    --------
    >>> read_parameters("keep = 8  # touchpoints to name")["keep"]
    Parameter(name='keep', default=8, note='touchpoints to name')
    """
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    notes = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokens
        if token.type == tokenize.COMMENT and token.line.lstrip()[:1] != "#"
    }
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, last = node.targets[0].id, node.end_lineno or node.lineno
            value = ast.literal_eval(node.value)
            found[name] = Parameter(name, value, notes.get(last, ""))
    return found


def known_touchpoints(log: Journeys) -> list[str]:
    """Touchpoints of a log, the most frequent first.

    Parameters
    ----------
    log
        The log.

    Returns
    -------
    list of str
        Equally frequent ones by alphabet.

    Raises
    ------
    CxError
        When the log has no events.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> known_touchpoints(log)
    ['visit', 'buy']
    """
    counts = log.events.touchpoint.value_counts(name="n").to_pandas()
    ordered = counts.sort_values(["n", "touchpoint"], ascending=[False, True])
    if ordered.empty:
        raise CxError("the log has no events; cxlib check says what the exports lack")
    return [str(name) for name in ordered["touchpoint"]]


def needed(name: str, value: Any, known: Iterable[Hashable], *, kind: str = "touchpoint") -> Any:
    """A parameter without which the notebook has no answer.

    Parameters
    ----------
    name
        Of the parameter.
    value
        A name, or a list of them; None is taken as it is.
    known
        The names that the data have.
    kind
        What they are.

    Returns
    -------
    str, list of str or None
        The value. Of a default that is a list, those that the data have.

    Raises
    ------
    ParameterError
        When a person gave it, and the data lack one of the names.
    CxError
        When the data have none of the names of the default.

    Warns
    -----
    CxWarning
        When the data lack some names of a default.

    Examples
    --------
    >>> needed("purchases", "bought_extra", ["ordered", "viewed_home"])
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no touchpoint 'bought_extra'; there are 'ordered',
    'viewed_home'; set another by -p purchases=TOUCHPOINT
    """
    names = list(known)
    lacking = _lacking(name, value, names, kind)
    if not lacking:
        return value
    if not isinstance(value, list) or len(lacking) == len(value):
        raise CxError(f"{unknown_name(kind, lacking[0], names)}; {_hint(name, kind)}")
    return fall_back(
        name, _lack(lacking, kind), [one for one in value if one not in lacking], kind=kind
    )


def available(
    name: str, value: Any, known: Iterable[Hashable], *, kind: str = "touchpoint", instead: Any = ()
) -> Any:
    """A parameter, or what stands in its place where the data lack what its default names.

    Parameters
    ----------
    name
        Of the parameter.
    value
        A name, or a list of them; None is taken as it is.
    known
        The names that the data have.
    kind
        What they are.
    instead
        Stands in place of a default that the data lack. When not given: of a list those that the
        data have, and None for a single name.

    Returns
    -------
    str, list of str or None
        The value, or what stands in its place.

    Raises
    ------
    ParameterError
        When a person gave it, and the data lack one of the names.

    Warns
    -----
    CxWarning
        When something stands in place of a default: a report shows it as a note.

    Examples
    --------
    >>> available("around", "used_chatbot", ["used_chatbot", "viewed_home"])
    'used_chatbot'
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     available("around", "used_chatbot", ["viewed_home"], instead="viewed_home")
    'viewed_home'
    >>> print(caught[0].message)
    the data have no touchpoint 'used_chatbot', so that around is 'viewed_home' here; set another
    by -p around=TOUCHPOINT
    """
    lacking = _lacking(name, value, list(known), kind)
    if not lacking:
        return value
    if instead == ():
        instead = [one for one in value if one not in lacking] if isinstance(value, list) else None
    return fall_back(name, _lack(lacking, kind), instead, kind=kind)


def fall_back(name: str, reason: str, instead: Any, *, kind: str = "value") -> Any:
    """What stands in place of a default; a value that a person gave is refused.

    Parameters
    ----------
    name
        Of the parameter.
    reason
        Why it cannot be used, as the beginning of a sentence.
    instead
        What stands in its place; None or an empty list for nothing.
    kind
        What the parameter names.

    Returns
    -------
    object
        ``instead``.

    Raises
    ------
    ParameterError
        When a person gave the value.

    Warns
    -----
    CxWarning
        That it stands in place of the default.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     fall_back("day", "no journey began after 2030-01-01", "2024-03-01", kind="day")
    '2024-03-01'
    >>> print(caught[0].message)
    no journey began after 2030-01-01, so that day is '2024-03-01' here; set another by -p day=DAY
    """
    if _is_given(name):
        raise ParameterError(name, reason)
    shown = ", ".join(map(repr, instead)) if isinstance(instead, list) else repr(instead)
    here = f"is {shown} here" if instead else "is not used here"
    # Of the notebook's cell, where there is one line for each parameter.
    warnings.warn(f"{reason}, so that {name} {here}; {_hint(name, kind)}", CxWarning, stacklevel=3)
    return instead


def used_values(space: Mapping[str, Any], names: Iterable[str]) -> str:
    """Values that parameters have at the end of a notebook, as JSON.

    Parameters
    ----------
    space
        The names of the notebook, with what they are.
    names
        Of the parameters.

    Returns
    -------
    str
        Those with plain values: numbers, text, days, lists and mappings.

    Examples
    --------
    >>> import pandas as pd
    >>> used_values({"keep": 8, "day": pd.Timestamp("2024-03-01"), "log": object()},
    ...             ["keep", "day", "log"])
    '{"keep": 8, "day": "2024-03-01"}'
    """
    import pandas as pd

    found = {}
    for name in names:
        value = space.get(name)
        if isinstance(value, pd.Timestamp | datetime.date):
            moment = pd.Timestamp(value)
            whole = moment == moment.normalize()
            value = str(moment.date()) if whole else moment.isoformat()
        try:
            found[name] = json.loads(json.dumps(value))
        except TypeError:  # a name that the notebook uses for something else by then
            continue
    return json.dumps(found)


def _is_given(name: str) -> bool:
    return name in os.environ.get(GIVEN, "").split(",")


def _lacking(name: str, value: Any, known: list[Hashable], kind: str) -> list[Any]:
    """Names that the data do not have; an error where a person gave them."""
    names = [] if value is None else value if isinstance(value, list | tuple) else [value]
    lacking = [one for one in names if one not in known]
    if lacking and _is_given(name):
        raise ParameterError(name, str(unknown_name(kind, lacking[0], known)))
    return lacking


def _lack(lacking: list[Any], kind: str) -> str:
    first, last = ", ".join(map(repr, lacking[:-1])), repr(lacking[-1])
    return f"the data have no {kind} {f'{first} or {last}' if first else last}"


def _hint(name: str, kind: str) -> str:
    return f"set another by -p {name}={kind.upper()}"
