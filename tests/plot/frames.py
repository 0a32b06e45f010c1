"""Small frames in the shape that the nouns give."""

import pandas as pd


def flow_frame(*moves: tuple[int, str, str, int]) -> pd.DataFrame:
    """Flows from (step, from, to, journeys)."""
    moves = moves or (
        (1, "signed_up", "viewed_home", 60),
        (1, "signed_up", "opened_ticket", 30),
        (1, "signed_up", "(end)", 10),
        (2, "viewed_home", "(other)", 40),
        (2, "viewed_home", "(open)", 20),
        (2, "opened_ticket", "(end)", 30),
    )
    frame = pd.DataFrame(
        moves, columns=["step", "from_touchpoint", "to_touchpoint", "journeys"]
    ).assign(customers=lambda f: f["journeys"])
    frame["of_step"] = frame["journeys"] / frame.groupby("step")["journeys"].transform("sum")
    return frame


def dropoff_frame() -> pd.DataFrame:
    """One touchpoint that loses more than expected, one that loses less, one as expected."""
    return pd.DataFrame(
        {
            "touchpoint": ["opened_ticket", "viewed_home", "paid_invoice", "just_opened"],
            "visits": [110, 400, 200, 5],
            "ended": [60, 20, 20, 0],
            "open": [10, 0, 0, 5],
            "n": [100, 400, 200, 0],
            "dropoff_rate": [0.6, 0.05, 0.1, None],
            "lower": [0.5, 0.03, 0.07, None],
            "upper": [0.69, 0.08, 0.15, None],
            "expected": [20.0, 60.0, 20.0, 0.0],
            "lift": [3.0, 1 / 3, 1.0, None],
            "lift_lower": [2.3, 0.2, 0.6, None],
            "lift_upper": [3.9, 0.5, 1.5, None],
        }
    )


def curve_frame(**groups: list[tuple[int, int, float]]) -> pd.DataFrame:
    """Curves from segment=[(day, at risk, survival), …]."""
    groups = groups or {
        "loyal": [(0, 50, 1.0), (30, 50, 0.9), (60, 40, 0.8)],
        "new": [(0, 20, 1.0), (30, 20, 0.5), (60, 8, 0.25)],
    }
    rows = [
        (segment, day, at_risk, 0, 0, survival, max(survival - 0.1, 0), min(survival + 0.1, 1))
        for segment, points in groups.items()
        for day, at_risk, survival in points
    ]
    columns = ["segment", "duration_days", "at_risk", "events", "censored"]
    return pd.DataFrame(rows, columns=[*columns, "survival", "lower", "upper"])


def transition_frame() -> pd.DataFrame:
    """Four moves."""
    return pd.DataFrame(
        {
            "from_touchpoint": ["(start)", "signed_up", "signed_up", "viewed_home"],
            "to_touchpoint": ["signed_up", "viewed_home", "(end)", "(end)"],
            "count": [4, 3, 1, 3],
            "customers": [4, 3, 1, 3],
            "probability": [1.0, 0.75, 0.25, 1.0],
        }
    )


def change_frame() -> pd.DataFrame:
    """Differences of three moves: surely less, surely more, and perhaps chance."""
    frame = pd.DataFrame(
        {
            "from_touchpoint": ["used_chatbot", "used_chatbot", "(start)"],
            "to_touchpoint": ["(end)", "called_support", "used_chatbot"],
            "compared": "probability",
            "a": [0.58, 0.2, 0.5],
            "b": [0.38, 0.35, 0.51],
            "difference": [-0.2, 0.15, 0.01],
            "lower": [-0.25, 0.1, -0.03],
            "upper": [-0.16, 0.2, 0.05],
            "p_value": [0.0001, 0.001, 0.4],
            "p_adjusted": [0.0003, 0.002, 0.4],
        }
    )
    for side, label in (("a", "2023"), ("b", "2024")):
        frame[f"n_{side}"] = 100.0
        frame[f"count_{side}"] = frame[side] * 100
        frame[f"label_{side}"] = label
    return frame


def handoff_frame(*pairs: tuple[str, str, int]) -> pd.DataFrame:
    """Handoffs from (from, to, handoffs), each with a wait of 20 hours and a return in four."""
    pairs = pairs or (
        ("front_desk", "technical", 60),
        ("technical", "front_desk", 30),
        ("front_desk", "billing", 10),
    )
    frame = pd.DataFrame(pairs, columns=["from_department", "to_department", "handoffs"])
    return frame.assign(
        customers=frame["handoffs"],
        share=frame["handoffs"] / frame["handoffs"].sum(),
        median_wait_hours=20.0,
        n=frame["handoffs"],
        return_rate=0.25,
    )


def ratio_frame() -> pd.DataFrame:
    """Three coefficients: surely higher, surely lower, and perhaps equal."""
    return pd.DataFrame(
        {
            "covariate": ["missed_payment", "contract=annual", "channel=phone"],
            "hazard_ratio": [2.2, 0.35, 1.1],
            "lower": [1.7, 0.3, 0.9],
            "upper": [2.9, 0.41, 1.35],
            "n": [9000, 900, 300],
            "events": [400, 210, 60],
        }
    )


def incidence_frame() -> pd.DataFrame:
    """Two causes over sixty days."""
    rows = [("price", 0, 0.0), ("price", 30, 0.1), ("price", 60, 0.2)]
    rows += [("moved", 0, 0.0), ("moved", 30, 0.2), ("moved", 60, 0.3)]
    frame = pd.DataFrame(rows, columns=["cause", "duration_days", "incidence"])
    frame["lower"], frame["upper"] = frame["incidence"] * 0.8, frame["incidence"] * 1.2
    return frame.assign(
        at_risk=[100, 100, 70] * 2, events=[0, 10, 10, 0, 20, 10], censored=[0, 0, 50] * 2
    )


def renewal_frame() -> pd.DataFrame:
    """Two terms that were due, and a third one that is projected."""
    return pd.DataFrame(
        {
            "term": [1, 2, 3],
            "retention": [0.62, 0.74, 0.8],
            "survival": [0.62, 0.46, 0.37],
            "learnt": [True, True, False],
            "at_risk": [100, 50, 0],
            "observed_retention": [0.6, 0.76, None],
        }
    )


def value_frame(n: int = 200) -> pd.DataFrame:
    """Customers worth 1 to n."""
    frame = pd.DataFrame({"value": [float(at + 1) for at in range(n)]})
    return frame.assign(
        lower=frame["value"] * 0.8,
        upper=frame["value"] * 1.2,
        expected_purchases=1.0,
        probability_alive=0.8,
    )


def calibration_frame() -> pd.DataFrame:
    """Predicted and observed risks of three groups, the last of which is too small to show."""
    return pd.DataFrame(
        {
            "group": [1, 2, 3],
            "sample": "later",
            "ahead_days": 90.0,
            "n": [200, 210, 9],
            "events": [10, 63, 4],
            "predicted": [0.06, 0.25, 0.4],
            "observed": [0.05, 0.3, 0.45],
            "lower": [0.03, 0.24, 0.2],
            "upper": [0.09, 0.37, 0.7],
            "calibrated": [0.05, 0.29, 0.4],
            "ici": 0.026,
        }
    )
