"""Small spells whose figures R's survival 3.5.3 gave, and the cases as frames."""

from __future__ import annotations

import json

import pandas as pd

# Late entries, weights and ties at once; counted by hand or by R, as each test says.
TIED = pd.DataFrame(
    {
        "entry_months": [0, 0, 0, 0, 1, 1, 2, 0, 0, 3, 0, 2],
        "duration_months": [1, 2, 2, 3, 4, 4, 4, 5, 5, 6, 7, 7],
        "cause": [
            *("price", "price", "moved", None, "price", "moved"),
            *(None, "moved", "price", None, "price", None),
        ],
        "plan": list("aabababbabba"),
        "n": [2, 1, 3, 2, 1, 2, 4, 2, 1, 3, 2, 1],
    }
)
PROMPT = TIED.drop(columns="entry_months").assign(
    zone=["u" if t > 3 and e == 0 else "v" for t, e in
          zip(TIED["duration_months"], TIED["entry_months"], strict=True)]
)  # fmt: skip
"""The same without late entry, which R's survdiff does not take."""


def case(shared, name):
    """Input and computed figures of a case."""
    folder = shared / "cases" / "survival" / name
    computed = json.loads((folder / "computed.json").read_text())
    return pd.read_csv(folder / "input.csv"), computed


def mgus(shared):
    """Monoclonal gammopathy: progression and death without it, in months."""
    frame, computed = case(shared, "mgus2_competing")
    cause = frame["event"].map({0: None, 1: "pcm", 2: "death"})
    frame = frame.rename(columns={"etime": "duration_months"}).assign(cause=cause)
    return frame[["sex", "duration_months", "cause"]], computed


def at(curves, time, column="survival", **group):
    """Value of the curve at a time: that of the last row up to it."""
    for name, value in group.items():
        curves = curves[curves[name] == value]
    duration = next(name for name in curves if name.startswith("duration_"))
    return curves.loc[curves[duration] <= time, column].iloc[-1]
