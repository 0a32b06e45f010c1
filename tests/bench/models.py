"""Time the models from a stored log to their answer, each in a process of its own.

``python -m tests.bench.models --customers 10000000`` writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

import cxlib as cx
from cxlib.engine.store import Snapshot
from tests.bench.memory import peak_gb
from tests.bench.page import write_page
from tests.bench.subscribers import LEVELS, churn, write_subscribers

PROJECT = Path(__file__).resolve().parents[2]
COVARIATES = list(LEVELS)
TARGETS = {"curves": 5, "cox": 15, "risk_table": 60, "bg_nbd": 30}
"""Seconds for ten million customers."""
TITLES = {
    "spells": "`spell_counts(spells(log, ...))`: times at risk worked out anew, by 5 segments",
    "curves": "`survival_curves` by 5 segments, from stored spells",
    "cox": "`fit_cox` with 5 categorical covariates, from stored spells",
    "lifelines": "lifelines' `CoxPHFitter` on the same customers, one row each",
    "risk_table": "`risk_table` with 5 categorical covariates and one that changes",
    "bg_nbd": "`purchase_summary` by week and `fit_bg_nbd`",
}


def spells(store: Snapshot) -> pd.DataFrame:
    """Counts of spells that are not stored."""
    return cx.spell_counts(churn(cx.load_journeys(store)), by="segment", unit="months")


def curves(store: Snapshot) -> pd.DataFrame:
    """Kaplan-Meier by segment."""
    counts = cx.spell_counts(cx.load_spells(store, "churn"), by="segment", unit="months")
    return cx.survival_curves(counts, by="segment")


def cox(store: Snapshot) -> pd.DataFrame:
    """Coefficients on counts."""
    stored = cx.load_spells(store, "churn")
    counts = cx.spell_counts(stored, by=COVARIATES, unit="months")
    # A duration of 0 is a customer who was not seen for a whole month.
    counts = counts[counts["duration_months"] > 0]
    reference = {name: levels[0] for name, levels in LEVELS.items()}
    model = cx.fit_cox(
        counts,
        duration="duration_months",
        event="event",
        covariates=COVARIATES,
        reference=reference,
    )
    return model.summary[["covariate", "coefficient", "standard_error"]]


def lifelines(store: Snapshot) -> pd.DataFrame:
    """Coefficients on rows, which are laid out before the clock starts."""
    from lifelines import CoxPHFitter

    rows = _rows(store)
    begin = time.perf_counter(), time.process_time()
    fitter = CoxPHFitter().fit(rows, "duration_months", "event")
    spent = time.perf_counter() - begin[0], time.process_time() - begin[1]
    found = fitter.summary[["coef", "se(coef)"]].reset_index()
    found.columns = ["covariate", "coefficient", "standard_error"]
    found.attrs["spent"] = spent
    return found


def _rows(store: Snapshot) -> pd.DataFrame:
    """One row per customer, in the types that take the least memory."""
    stored = cx.load_spells(store, "churn")
    counts = cx.spell_counts(stored, by=COVARIATES, unit="months")
    counts = counts[counts["duration_months"] > 0]
    n = counts.pop("n").to_numpy()
    columns = {"duration_months": counts["duration_months"].astype("float32"),
               "event": counts["event"].astype("int8")}  # fmt: skip
    for name, levels in LEVELS.items():
        for level in levels[1:]:
            columns[f"{name}={level}"] = (counts[name] == level).astype("int8")
    return pd.DataFrame({name: column.to_numpy().repeat(n) for name, column in columns.items()})


def risk_table(store: Snapshot) -> pd.DataFrame:
    """Who was at risk, by month, covariates and whether they had asked for help."""
    tickets = cx.covariate_history(cx.load_journeys(store), "opened_ticket")
    stored = cx.load_spells(store, "churn")
    return cx.risk_table(stored, covariates=COVARIATES, time_varying={"ticket": tickets})


def bg_nbd(store: Snapshot) -> pd.DataFrame:
    """Parameters of the purchase model."""
    log = cx.load_journeys(store)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cx.CxWarning)  # joining is a purchase without a price
        histories = cx.purchase_summary(
            log,
            as_of=log.observed_until,
            touchpoints=["joined", "placed_order"],
            resolution="7 days",
        )
    return cx.fit_bg_nbd(histories).summary


MODELS: dict[str, Callable[[Snapshot], pd.DataFrame]] = {
    "spells": spells,
    "curves": curves,
    "cox": cox,
    "lifelines": lifelines,
    "risk_table": risk_table,
    "bg_nbd": bg_nbd,
}


def check_equal(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """Largest difference of a coefficient from that of lifelines, in its standard errors."""
    both = ours.merge(theirs, on="covariate", suffixes=("", "_theirs"), validate="one_to_one")
    if len(both) != len(ours):
        raise AssertionError("the two fits have other covariates")
    apart = (both["coefficient"] - both["coefficient_theirs"]).abs() / both["standard_error"]
    return float(apart.max())


def time_one(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """One run in this process."""
    store = write_subscribers(args.workspace, args.customers)
    store.con.raw_sql(f"SET threads = {args.threads}")
    store.con.raw_sql(f"SET memory_limit = '{args.memory}'")
    store.con.raw_sql(f"SET temp_directory = '{args.workspace / 'spill'}'")
    begin = time.perf_counter(), time.process_time()
    found = MODELS[name](store)
    spent = time.perf_counter() - begin[0], time.process_time() - begin[1]
    seconds, processor = found.attrs.pop("spent", spent)
    peak = peak_gb()
    kept = args.workspace / f"answer-{name}-{args.customers}.parquet"
    found.to_parquet(kept)
    return {"seconds": seconds, "cpu": processor, "peak_gb": peak, "rows": len(found)}


def run_bench(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What each model took; those that are not asked for as they were measured before."""
    write_subscribers(args.workspace, args.customers).con.disconnect()
    kept = args.workspace / f"models-{args.customers}.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    for name in MODELS if args.models is None else args.models:
        command = [sys.executable, "-m", "tests.bench.models", "--one", name]
        for option in ("customers", "workspace", "threads", "memory"):
            command += [f"--{option}", str(getattr(args, option))]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, found[name], flush=True)
        kept.write_text(json.dumps(found, indent=1))
    return found


def section(found: dict[str, dict[str, Any]], args: argparse.Namespace) -> str:
    """The table of the page."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    lines = [
        f"## Models of {args.customers:,} customers",
        "",
        f"{datetime.now():%d %B %Y}, {args.threads} cores, {memory:.0f} GB of memory, of which "
        f"DuckDB may take {args.memory}; cxlib {version('cxlib')}, DuckDB {version('duckdb')}, "
        f"lifelines {version('lifelines')}, Python {sys.version.split()[0]}.",
        "",
        "`python -m tests.bench.models` (a part of `make bench`): from a stored log of subscribers "
        "(`tests/bench/subscribers.py`: three years, a monthly clock; beyond a million, each "
        "further million lives the same lives under other ids) to the answer, each in a process of "
        "its own, cold, its imports not counted. The spells are stored with the log, as a build "
        "does for those that `sources.yml` declares. lifelines' time is that of its fit alone; its "
        "rows are laid out before.",
        "",
        "| question | s | CPU s | peak GB | wanted s |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, title in TITLES.items():
        if name in found:
            row = found[name]
            wanted = TARGETS.get(name) if args.customers == 10_000_000 else None
            lines.append(
                f"| {title} | {row['seconds']:.1f} | {row['cpu']:.1f} | {row['peak_gb']:.1f} "
                f"| {wanted or '–'} |"
            )
    answers = [args.workspace / f"answer-{name}-{args.customers}.parquet"
               for name in ("cox", "lifelines")]  # fmt: skip
    if all(path.exists() for path in answers):
        apart = check_equal(*(pd.read_parquet(path) for path in answers))
        lines += ["", f"No coefficient is further than {apart:.2g} standard errors from that of "
                  "lifelines, which also treats ties as Efron does."]  # fmt: skip
    if args.note:
        lines += ["", args.note]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000_000)
    parser.add_argument("--workspace", type=Path, default=PROJECT / "data" / "bench")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="5GB", help="DuckDB's memory limit")
    parser.add_argument(
        "--models",
        nargs="*",
        choices=list(MODELS),
        help="time these, or none where none is named; the others stay as they were",
    )
    parser.add_argument("--note", default="", help="what to say of the run on the page")
    parser.add_argument("--prepare", action="store_true", help="time nothing, lay out the data")
    parser.add_argument("--one", choices=list(MODELS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(time_one(args.one, args)))
    elif args.prepare:
        write_subscribers(args.workspace, args.customers)
    else:
        text = section(run_bench(args), args)
        print(text)
        write_page(text)


if __name__ == "__main__":
    main()
