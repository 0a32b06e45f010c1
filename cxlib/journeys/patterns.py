"""Patterns of paths: a small grammar, and the test whether a journey's path follows one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from cxlib.errors import CxError
from cxlib.journeys.log import Journeys, check_touchpoints
from cxlib.tables import END, OPEN, START

__all__ = ["PathPattern", "follows", "parse_pattern", "path_text"]

ARROW = "->"
_OUTCOMES = {END: "E", OPEN: "O", "$": "[EO]"}
_ANY = "[^EO]"
_FIRST_CODE = 0x4E00  # one letter of a large alphabet for each touchpoint that a pattern names
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<arrow>->)
    | "(?P<quoted>(?:[^"\\]|\\.)*)"
    | (?P<node>\((?:start|end|open)\))(?=\s*(?:->|[\]|]|\Z))
    | (?P<mark>[\[\]|^$*+?]|\.(?=\s|->|[*+?$]|\Z))
    | (?P<name>(?:(?!->)[^\s"\[\]|^$*+?])+(?:\s+(?:(?!->)[^\s"\[\]|^$*+?])+)*)
    )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class PathPattern:
    """A pattern that was read, ready to be held against paths.

    Parameters
    ----------
    text
        The pattern as it was written.
    touchpoints
        The touchpoints that it names, in order of their first mention.
    expression
        The same pattern as a regular expression over one letter per event: the letters of the
        named touchpoints count from U+4E00, every other touchpoint is ``_``, and behind the last
        event stands ``E`` for a journey that has ended and ``O`` for one that is open.

    Examples
    --------
    >>> pattern = parse_pattern("visit -> [^buy]* -> leave")
    >>> pattern.touchpoints
    ('visit', 'buy', 'leave')
    >>> pattern.matches(["visit", "ask", "leave"]), pattern.matches(["visit", "buy", "leave"])
    (True, False)
    """

    text: str
    touchpoints: tuple[str, ...]
    expression: str

    def matches(self, path: Iterable[str], *, is_open: bool = False) -> bool:
        """Whether one path follows the pattern.

        Parameters
        ----------
        path
            Touchpoints in order.
        is_open
            Whether the journey goes on at the cut-off.

        Returns
        -------
        bool
            False also for a path without touchpoints that the pattern asks for.

        Examples
        --------
        >>> parse_pattern("buy -> (end)").matches(["visit", "buy"])
        True
        """
        codes = self._codes()
        letters = "".join(codes.get(name, "_") for name in path)
        return re.search(self.expression, letters + ("O" if is_open else "E")) is not None

    def holds(self, path: ir.ArrayValue, is_open: ir.BooleanValue) -> ir.BooleanValue:
        """The same test as an expression of the engine.

        Parameters
        ----------
        path
            Touchpoints of a journey in order.
        is_open
            Whether it goes on at the cut-off.

        Returns
        -------
        ibis.expr.types.BooleanValue
            One letter per event keeps it right for names with any characters.

        Examples
        --------
        >>> path = ibis.array(["visit", "buy"])
        >>> parse_pattern("buy").holds(path, ibis.literal(False)).to_pandas()
        True
        """
        codes = list(self._codes().items())

        def letter(name: ir.StringValue) -> ir.StringValue:
            return name.cases(*codes, else_="_") if codes else ibis.literal("_")

        letters = path.map(letter).join("") + ibis.ifelse(is_open, "O", "E")
        return letters.re_search(self.expression)

    def _codes(self) -> dict[str, str]:
        return _letters(self.touchpoints)


def follows(log: Journeys, table: ir.Table, pattern: str) -> ir.BooleanValue:
    """Whether each row of a table of journeys follows a pattern of touchpoints that the log has.

    Parameters
    ----------
    log
        The log that must have the touchpoints.
    table
        Has ``path`` and ``is_open``.
    pattern
        As ``parse_pattern`` reads it.

    Returns
    -------
    ibis.expr.types.BooleanValue
        A condition on ``table``.

    Raises
    ------
    CxError
        For a pattern that cannot be read, or a touchpoint that the log does not have.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "b"], "touchpoint": ["visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> log.journeys.filter(follows(log, log.journeys, "^buy")).customer_id.to_list()
    ['b']
    """
    parsed = parse_pattern(pattern)
    check_touchpoints(log, parsed.touchpoints)
    return parsed.holds(table.path, table.is_open)


def path_text(path: Sequence[str]) -> str:
    """Touchpoints as a pattern that they follow: ``"visit -> buy"``, odd names in quotes.

    Parameters
    ----------
    path
        Touchpoints, and nodes such as ``(start)``.

    Returns
    -------
    str
        ``parse_pattern`` reads it back.

    Examples
    --------
    >>> path_text(["visit", "why?"])
    'visit -> "why?"'
    """
    return f" {ARROW} ".join(_quote(name) for name in path)


def parse_pattern(text: str) -> PathPattern:
    """Pattern of a path, read from its text.

    Parameters
    ----------
    text
        Places joined by ``->``, each directly after the one before it:

        - ``visit``: this touchpoint; in quotes when its name has marks of the grammar (``"why?"``,
          with ``\\"`` and ``\\\\`` for a quote and a backslash in it);
        - ``[visit|ask]``: one of these; ``[^buy|ask]``: one that is none of these;
        - ``.``: any one touchpoint; ``*``: any run of touchpoints, also none;
        - behind any of the first three kinds ``*`` (none or more), ``+`` (one or more) or ``?``
          (none or one);
        - ``(start)`` or ``^`` first: the journey starts here; ``(end)`` last: it ended here,
          ``(open)``: it goes on at the cut-off, ``$``: either of them. ``(end)`` and ``(open)``
          may stand in ``[buy|(end)]`` too.

    Returns
    -------
    PathPattern
        A path follows it when any stretch of the path does; ``^`` and ``$`` tie it down.

    Raises
    ------
    CxError
        With the position, counted from 1, at which the text cannot be read.

    Examples
    --------
    >>> parse_pattern("^ -> visit -> * -> [buy|leave] -> $").matches(["visit", "ask", "buy"])
    True
    >>> parse_pattern("visit -> -> buy")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: the pattern 'visit -> -> buy' cannot be read at position 10: a touchpoint
    is missing before '->'
    """
    return _Reader(text).read()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._split()
        self.place = 0
        self.names: dict[str, str] = {}

    def read(self) -> PathPattern:
        parts, first = [], True
        while first or self._take("arrow"):
            parts.append(self._place(first))
            # "^visit" and "^ -> visit" say the same.
            while parts[-1] == "^" and self._next().kind not in ("arrow", "stop"):
                parts.append(self._place(False))
            first = False
        if self._next().kind == "mark" and self._next().text == "$":
            parts.append(self._place(False))
        if (token := self._next()).kind != "stop":
            raise self._error(token, f"'{ARROW}' is missing before {token.text!r}")
        if not self.names and all(part in ("^", *_OUTCOMES.values()) for part in parts):
            raise self._error(self.tokens[0], "it names no place of a path")
        return PathPattern(self.text, tuple(self.names), "".join(parts))

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        end = len(self.text.rstrip())
        while at < end:
            found = _TOKEN.match(self.text, at)
            if found is None:
                start = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                raise self._error(_Token("", "", start), "a quote is not closed")
            kind = str(found.lastgroup)
            tokens.append(_Token(kind, found.group(kind), found.start(kind)))
            at = found.end()
        return [*tokens, _Token("stop", "the end", len(self.text))]

    def _next(self) -> _Token:
        return self.tokens[self.place]

    def _take(self, kind: str, text: str = "") -> _Token | None:
        token = self._next()
        if token.kind != kind or (text and token.text != text):
            return None
        self.place += 1
        return token

    def _place(self, first: bool) -> str:
        """One place between arrows, as a regular expression."""
        token = self._next()
        self.place += 1
        if token.kind in ("quoted", "name"):
            return self._code(token) + self._quantifier()
        if token.kind == "node" or (token.kind == "mark" and token.text in "^$"):
            return self._node(token, first)
        if token.kind == "mark" and token.text == "*":
            return f"{_ANY}*"
        if token.kind == "mark" and token.text == ".":
            return _ANY + self._quantifier()
        if token.kind == "mark" and token.text == "[":
            return self._set() + self._quantifier()
        raise self._error(token, _why_not(token))

    def _node(self, token: _Token, first: bool) -> str:
        if token.text in (START, "^"):
            if first:
                return "^"
            raise self._error(token, f"{token.text!r} stands first or nowhere")
        if self._next().kind != "stop":
            raise self._error(token, f"{token.text!r} stands last or nowhere")
        return _OUTCOMES[token.text]

    def _set(self) -> str:
        none_of = self._take("mark", "^") is not None
        codes = []
        while True:
            token = self._next()
            self.place += 1
            if token.kind in ("quoted", "name"):
                codes.append(self._code(token))
            elif token.kind == "node" and token.text in _OUTCOMES and not none_of:
                codes.append(_OUTCOMES[token.text])
            else:
                raise self._error(token, f"a set holds touchpoints, and not {token.text!r}")
            if self._take("mark", "]"):
                break
            if not self._take("mark", "|"):
                token = self._next()
                raise self._error(token, f"'|' or ']' is missing before {token.text!r}")
        return f"[^EO{''.join(codes)}]" if none_of else f"[{''.join(codes)}]"

    def _quantifier(self) -> str:
        token = self._next()
        if token.kind == "mark" and token.text in ("*", "+", "?"):
            self.place += 1
            return token.text
        return ""

    def _code(self, token: _Token) -> str:
        name = token.text
        if token.kind == "quoted":
            name = re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)
        if not name:
            raise self._error(token, "the name in quotes is empty")
        return self.names.setdefault(name, chr(_FIRST_CODE + len(self.names)))

    def _error(self, token: _Token, why: str) -> CxError:
        return CxError(
            f"the pattern {self.text!r} cannot be read at position {token.at + 1}: {why}"
        )


def _why_not(token: _Token) -> str:
    """Why a place cannot begin with a token."""
    if token.kind != "mark":
        return f"a touchpoint is missing before {token.text!r}"
    if token.text in "+?":
        return f"{token.text!r} needs a touchpoint, a set or '.' before it"
    return f"{token.text!r} cannot begin a place; put a name that has it in double quotes"


def _letters(names: Iterable[str]) -> dict[str, str]:
    return {name: chr(_FIRST_CODE + place) for place, name in enumerate(names)}


def _quote(name: str) -> str:
    if name in (START, END, OPEN):
        return name
    found = _TOKEN.fullmatch(name)
    if found and found.lastgroup == "name" and found.group("name") == name:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
