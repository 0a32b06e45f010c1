"""Where the nodes and the curves of a graph stand: from left to right, with few crossings."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.tables import END, OPEN, START

__all__ = ["COLUMN", "ROW", "place_nodes", "route_edges"]

COLUMN, ROW = 150, 92  # pixels from one column, and from one row, to the next
_SWEEPS = 16
_LAST = (END, OPEN)
_POINTS = 24
_COLUMNS, _TALL = 7, 4  # columns at most, and nodes in one before there must be more
_PER_COLUMN = 0.1  # squared steps that another column must save

Matrix = NDArray[np.float64]


def place_nodes(edges: pd.DataFrame, moves: pd.DataFrame | None = None) -> pd.DataFrame:
    """Place of each node: columns by mean step, rows so that few edges cross.

    Parameters
    ----------
    edges
        The moves that are drawn: ``from_touchpoint, to_touchpoint, weight``.
    moves
        All moves, from which the mean steps are taken; those that are drawn when not given.

    Returns
    -------
    pandas.DataFrame
        One row per node in the order of its place: ``name``, ``x`` and ``y`` in pixels, from the
        left and from the middle.

    Examples
    --------
    >>> edges = pd.DataFrame({
    ...     "from_touchpoint": ["(start)", "visit", "visit", "buy"],
    ...     "to_touchpoint": ["visit", "buy", "(end)", "(end)"], "weight": [2, 1, 1, 1]})
    >>> place_nodes(edges)["name"].tolist()
    ['(start)', 'visit', 'buy', '(end)']
    """
    drawn = {*edges["from_touchpoint"], *edges["to_touchpoint"]}
    steps = _mean_steps(edges if moves is None else moves)
    steps = steps[steps.index.isin(drawn)]
    edges = edges[edges["from_touchpoint"] != edges["to_touchpoint"]]
    inner = steps.drop([name for name in (START, *_LAST) if name in steps.index])
    columns = [[START]] if START in steps.index else []
    columns += _split(inner.reset_index().sort_values(["step", "name"], ignore_index=True))
    ends = [name for name in _LAST if name in steps.index]
    columns += [ends] if ends else []
    best = _untangle(columns, edges) if len(edges) else columns
    return pd.DataFrame(
        [
            (name, at * COLUMN, (row - (len(column) - 1) / 2) * ROW)
            for at, column in enumerate(best)
            for row, name in enumerate(column)
        ],
        columns=["name", "x", "y"],
    )


def route_edges(edges: pd.DataFrame, nodes: pd.DataFrame) -> list[Matrix]:
    """Points of the curve of each edge, which passes between the nodes of the columns it crosses.

    Parameters
    ----------
    edges
        One row per move: ``from_touchpoint, to_touchpoint``.
    nodes
        What ``place_nodes`` gives, with a ``radius`` in pixels.

    Returns
    -------
    list of numpy.ndarray
        For each edge its points in pixels, one per row, from the rim of a node to that of another.

    Examples
    --------
    >>> edges = pd.DataFrame({"from_touchpoint": ["a"], "to_touchpoint": ["b"]})
    >>> nodes = pd.DataFrame({"name": ["a", "b"], "x": [0, 150], "y": [0, 0], "radius": [9, 9]})
    >>> route_edges(edges, nodes)[0][[0, -1]].tolist()
    [[9.0, 0.0], [138.0, 0.0]]
    """
    spots = nodes[["x", "y", "radius"]].astype("float64").to_numpy().tolist()
    place = {name: (x, y, r) for name, (x, y, r) in zip(nodes["name"], spots, strict=True)}
    gaps, taken = _gaps(nodes), dict[tuple[float, float], int]()
    links = list(zip(edges["from_touchpoint"], edges["to_touchpoint"], strict=True))
    ways = [_way(place[origin], place[goal], gaps, taken) for origin, goal in links]
    ports = _ports(links, place, ways)
    return [
        _loop(place[origin]) if origin == goal else
        _trace(place[origin], place[goal], way, port)
        for (origin, goal), way, port in zip(links, ways, ports, strict=True)
    ]  # fmt: skip


def _mean_steps(edges: pd.DataFrame) -> pd.Series:
    """Mean step of each node, were each move to follow from the one before alone."""
    names = sorted({*edges["from_touchpoint"], *edges["to_touchpoint"]})
    number = {name: at for at, name in enumerate(names)}
    edges = edges[edges["from_touchpoint"] != edges["to_touchpoint"]]
    into = np.zeros((len(names), len(names)))
    np.add.at(
        into,
        (edges["to_touchpoint"].map(number), edges["from_touchpoint"].map(number)),
        edges["weight"].astype("float64"),
    )
    total = into.sum(axis=1, keepdims=True)
    # A little is lost at each step, so that circles that nobody enters have a place too.
    share = np.divide(into, total, out=np.zeros_like(into), where=total > 0) * 0.98
    steps = np.linalg.solve(np.eye(len(names)) - share, (total[:, 0] > 0).astype("float64"))
    return pd.Series(steps, index=pd.Index(names, name="name"), name="step")


def _split(steps: pd.DataFrame) -> list[list[str]]:
    """Nodes in order cut into columns, so that the mean steps within a column differ little."""
    at, names = steps["step"].to_numpy(), steps["name"].tolist()
    most = max(_TALL, -(-len(names) // _COLUMNS))
    # The cheapest way to cut the first n nodes into so many columns, and where its last one starts.
    best: dict[tuple[int, int], tuple[float, int]] = {(0, 0): (0.0, 0)}
    for n in range(1, len(names) + 1):
        for used in range(1, _COLUMNS + 1):
            ways = [
                (best[start, used - 1][0] + float(((at[start:n] - at[start:n].mean()) ** 2).sum())
                 + _PER_COLUMN, start)
                for start in range(max(0, n - most), n)
                if (start, used - 1) in best
            ]  # fmt: skip
            if ways:
                best[n, used] = min(ways)
    columns: list[list[str]] = []
    n = len(names)
    used = min((best[n, used][0], used) for used in range(_COLUMNS + 1) if (n, used) in best)[1]
    while n:
        start = best[n, used][1]
        columns.insert(0, names[start:n])
        n, used = start, used - 1
    return columns


def _untangle(columns: list[list[str]], edges: pd.DataFrame) -> list[list[str]]:
    """Columns with their nodes ordered by the mean height of their neighbours."""
    links = edges[["from_touchpoint", "to_touchpoint", "weight"]].to_numpy(dtype=object).tolist()
    near: dict[str, list[tuple[str, float]]] = {}
    for origin, goal, weight in links:
        near.setdefault(origin, []).append((goal, float(weight)))
        near.setdefault(goal, []).append((origin, float(weight)))
    best, fewest = columns, _crossings(columns, links)
    for sweep in range(_SWEEPS):
        turn = range(len(columns)) if sweep % 2 == 0 else range(len(columns) - 1, -1, -1)
        for at in turn:
            height = _heights(columns)
            columns = [*columns[:at], _by_neighbours(columns[at], near, height), *columns[at + 1 :]]
        crossings = _crossings(columns, links)
        if crossings < fewest:
            best, fewest = columns, crossings
    return best


def _heights(columns: list[list[str]]) -> dict[str, float]:
    return {
        name: row - (len(column) - 1) / 2 for column in columns for row, name in enumerate(column)
    }


def _by_neighbours(
    column: list[str], near: dict[str, list[tuple[str, float]]], height: dict[str, float]
) -> list[str]:
    def mean(name: str) -> float:
        apart = [(height[other], weight) for other, weight in near.get(name, ()) if other in height]
        total = sum(weight for _, weight in apart)
        return sum(at * weight for at, weight in apart) / total if total else height[name]

    return sorted(column, key=lambda name: (round(mean(name), 9), name))


def _crossings(columns: list[list[str]], links: list[list[object]]) -> float:
    """Weight of the pairs of straight edges that cross."""
    height = _heights(columns)
    place = {
        name: (float(at), height[name]) for at, column in enumerate(columns) for name in column
    }
    ends = np.array([[*place[str(a)], *place[str(b)]] for a, b, _ in links])
    weight = np.sqrt(np.array([float(str(w)) for *_, w in links]))
    p, q = ends[:, :2], ends[:, 2:]

    def side(a: Matrix, b: Matrix, c: Matrix) -> Matrix:
        return np.sign(
            (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1])
            - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
        )

    first = side(p[:, None], q[:, None], p[None]) * side(p[:, None], q[:, None], q[None])
    second = side(p[None], q[None], p[:, None]) * side(p[None], q[None], q[:, None])
    return float(((first < 0) & (second < 0)).astype(float) @ weight @ weight) / 2


def _gaps(nodes: pd.DataFrame) -> dict[float, list[float]]:
    """Heights at which a column can be crossed: between its nodes, above and below them."""
    found = {}
    for x, column in nodes.groupby("x"):
        rows = sorted(column["y"])
        # Labels stand below their node, so that the free part of a gap is its lower one.
        found[float(str(x))] = [rows[0] - 0.45 * ROW, *(y + 0.62 * ROW for y in rows)]
    return found


def _way(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    gaps: dict[float, list[float]],
    taken: dict[tuple[float, float], int],
) -> list[tuple[float, float]]:
    """Where an edge crosses the columns between its nodes."""
    (x, y, _), (goal_x, goal_y, _) = start, end
    low, high = min(x, goal_x), max(x, goal_x)
    between = sorted((at for at in gaps if low < at < high), reverse=goal_x < x)
    way: list[tuple[float, float]] = []
    before = y
    for at in between:
        straight = y + (goal_y - y) * (at - x) / (goal_x - x)
        costs = [
            abs(gap - straight) + 0.6 * abs(gap - before) + 6 * taken.get((at, gap), 0)
            for gap in gaps[at]
        ]
        gap = gaps[at][costs.index(min(costs))]
        number = taken[at, gap] = taken.get((at, gap), 0) + 1
        # 0, 6, -6, 12, …: edges in one gap stand side by side.
        before = gap
        way.append((at, gap + 6 * (number // 2) * (1 if number % 2 == 0 else -1)))
    return way


def _ports(
    links: list[tuple[str, str]],
    place: dict[str, tuple[float, float, float]],
    ways: list[list[tuple[float, float]]],
) -> list[tuple[float, float]]:
    """How far above or below the middle of its nodes each edge begins and ends."""
    sides: dict[tuple[str, bool], list[tuple[float, int, int]]] = {}
    for number, ((origin, goal), way) in enumerate(zip(links, ways, strict=True)):
        if origin == goal:
            continue
        (x, y, _), (goal_x, goal_y, _) = place[origin], place[goal]
        first, last = way[0][1] if way else goal_y, way[-1][1] if way else y
        sides.setdefault((origin, goal_x >= x), []).append((first, number, 0))
        sides.setdefault((goal, x >= goal_x), []).append((last, number, 1))
    found = [[0.0, 0.0] for _ in links]
    for (name, _), ends in sides.items():
        room = min(7.0, 1.5 * place[name][2] / max(len(ends) - 1, 1))
        for at, (_, number, end) in enumerate(sorted(ends)):
            found[number][end] = room * (at - (len(ends) - 1) / 2)
    return [(begin, end) for begin, end in found]


def _trace(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    way: list[tuple[float, float]],
    port: tuple[float, float],
) -> Matrix:
    """Curve through the way, level at the nodes and in the gaps."""
    (x, y, radius), (goal_x, goal_y, goal_radius) = start, end
    turn = 1.0 if goal_x >= x else -1.0
    begin = np.array([x + turn * _rim(radius, port[0]), y + port[0]])
    # Room for the arrowhead, which must not stand on the node.
    inner = goal_x - turn * (_rim(goal_radius, port[1]) + 3)
    if x == goal_x:
        inner = goal_x + _rim(goal_radius, port[1]) + 3
        out = 26 + 0.16 * abs(goal_y - y)
        last, aside = np.array([inner, goal_y + port[1]]), np.array([out, 0.0])
        return _bezier(begin, begin + aside, last + aside, last)
    points = [begin, *map(np.array, way), np.array([inner, goal_y + port[1]])]
    parts = []
    for one, two in pairwise(points):
        reach = np.array([(two[0] - one[0]) * 0.45, 0.0])
        parts.append(_bezier(one, one + reach, two - reach, two))
    return np.vstack([parts[0], *(part[1:] for part in parts[1:])])


def _rim(radius: float, port: float) -> float:
    return math.sqrt(max(radius**2 - port**2, 0.0))


def _bezier(one: Matrix, two: Matrix, three: Matrix, four: Matrix) -> Matrix:
    t = np.linspace(0, 1, _POINTS)[:, None]
    u = 1 - t
    return u**3 * one + 3 * u**2 * t * two + 3 * u * t**2 * three + t**3 * four


def _loop(node: tuple[float, float, float]) -> Matrix:
    x, y, radius = node
    turn = np.linspace(-0.78 * math.pi, 0.78 * math.pi, _POINTS)
    size = 8 + radius / 4
    # Open below, where the node is.
    points = np.column_stack([np.sin(turn), -np.cos(turn)]) * size
    return points + np.array([x, y - radius - size * 0.62])
