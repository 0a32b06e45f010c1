"""Parties -> customers: links judged, clusters named, and what was decided on each pair."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.engine.functions import connect_scratch
from cxlib.errors import CxError
from cxlib.ingest.keys import pseudonym
from cxlib.ingest.linking.clusters import cluster_records
from cxlib.ingest.linking.pairs import LINKS, find_pairs

__all__ = ["CUSTOMERS", "MERGES", "link_parties"]

CUSTOMERS = ibis.schema({"party": "string", "customer_id": "string", "rule": "string"})
"""Columns of the table that maps parties to customers; ``rule`` is null for an own key."""

MERGES = ibis.schema(
    {
        "left_source": "string",
        "left_id": "string",
        "right_source": "string",
        "right_id": "string",
        "decision": "string",
        "rule": "string",
        "match_weight": "float64",
        "probability": "float64",
        "evidence": "string",
        "known_at": "timestamp(6)",
    }
)
"""Columns of ``merges``; ``decision`` is key, model, manual, flagged or refused."""


def link_parties(
    parties: ir.Table, by_hand: Mapping[str, pd.DataFrame], *, max_size: int, key: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customer of each party, and the pairs that were decided on.

    Parameters
    ----------
    parties
        From ``list_parties``.
    by_hand
        Numbers of parties that people called ``same`` and ``different``.
    max_size
        Parties in the largest cluster that may be one person.
    key
        Secret that customers are named with; None for a plain hash.

    Returns
    -------
    tuple of pandas.DataFrame
        ``party, customer_id, rule``; and rows of ``MERGES``. A customer is named after its first
        record, by the order of the sources and then of the ids, so that a corrected field or a
        further record leaves the name as it is.

    Raises
    ------
    CxError
        When ``same`` and ``different`` contradict each other.
    """
    columns = ["n", "party", "source", "record_id", "told", "shared", "known_at"]
    named = parties.select(columns).order_by("n").to_pandas()
    with connect_scratch() as con:
        told = con.create_table("parties", parties.filter(parties.told).to_pyarrow())
        links, apart = (table.to_pandas() for table in find_pairs(con, told))
    apart = _without(apart, by_hand["same"], len(named))
    stated = by_hand["different"].assign(rule="different by hand")
    stated = pd.concat([stated, apart.sort_values(["left", "right"])], ignore_index=True)
    wanted = _links(by_hand["same"], "manual", "same by hand")
    cluster, decided = cluster_records(
        pd.concat([wanted, links], ignore_index=True),
        stated,
        records=len(named),
        max_size=max_size,
    )
    _check(decided, named)
    cluster, by_key = _attach(named, cluster, by_hand["different"])
    decided = pd.concat([decided, by_key], ignore_index=True)
    return _customers(named, cluster, decided, key), _merges(named, decided, stated)


def _links(pairs: pd.DataFrame, decision: str, rule: str) -> pd.DataFrame:
    made = pairs[["left", "right"]].assign(decision=decision, rule=rule, probability=1.0)
    return made.reindex(columns=list(LINKS.names))


def _without(apart: pd.DataFrame, same: pd.DataFrame, records: int) -> pd.DataFrame:
    """Pairs that are apart, but for those that people called the same."""
    if same.empty:
        return apart
    nothing = pd.DataFrame({"left": [], "right": []}, dtype="int64")
    wanted = _links(same, "manual", "same by hand")
    group, _ = cluster_records(wanted, nothing, records=records, max_size=records)
    return apart[group[apart["left"]] != group[apart["right"]]]


def _check(decided: pd.DataFrame, named: pd.DataFrame) -> None:
    broken = decided[(decided["decision"] == "refused") & (decided["rule"] == "same by hand")]
    if len(broken):
        one, other = (_called(named, int(broken[side].iloc[0])) for side in ("left", "right"))
        raise CxError(
            f"identities.yml calls {one} and {other} the same, and by other lines different; "
            "take one of them out"
        )


def _called(named: pd.DataFrame, number: int) -> str:
    return f"{named['source'].iloc[number]}:{named['record_id'].iloc[number]}"


def _attach(
    named: pd.DataFrame, cluster: NDArray[np.int64], different: pd.DataFrame
) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """Put each key that no source tells more of to the one cluster that has it."""
    told = named[named["told"] & named["shared"].notna()]
    holders = pd.DataFrame(
        {"shared": told["shared"], "left": told["n"], "cluster": cluster[told["n"].to_numpy()]}
    )
    first = holders.groupby(["shared", "cluster"], as_index=False).agg(left=("left", "min"))
    keys = named.loc[~named["told"], ["n", "shared"]].rename(columns={"n": "right"})
    alone = cluster[keys["right"].to_numpy()] == keys["right"].to_numpy()
    pairs = keys[alone].merge(first, on="shared").sort_values(["right", "left"])
    only_one = (pairs.groupby("right")["cluster"].transform("size") == 1).to_numpy()
    apart = {
        (number, int(cluster[other]))
        for one, two in zip(different["left"], different["right"], strict=True)
        for number, other in ((one, two), (two, one))
    }
    barred = [pair in apart for pair in zip(pairs["right"], pairs["cluster"], strict=True)]
    joined = pairs[only_one & ~np.array(barred, dtype=bool)]
    cluster = cluster.copy()
    cluster[joined["right"].to_numpy()] = joined["cluster"].to_numpy()
    made = [
        _links(joined, "key", "shared key"),
        _links(pairs[~only_one], "flagged", "several customers have the key"),
    ]
    return cluster, pd.concat(made, ignore_index=True)


def _customers(
    named: pd.DataFrame, cluster: NDArray[np.int64], decided: pd.DataFrame, key: str | None
) -> pd.DataFrame:
    first = pd.Series(np.arange(len(named))).groupby(cluster).transform("min").to_numpy()
    size = pd.Series(cluster).groupby(cluster).transform("size").to_numpy()
    party = named["party"].to_numpy(dtype=object)
    source, record = (named[name].to_numpy(dtype=object) for name in ("source", "record_id"))
    own = (size == 1) & ~named["told"].to_numpy(dtype=bool)
    names = {n: pseudonym(f"{source[n]}:{record[n]}", key) for n in np.unique(first[~own]).tolist()}
    ids = [party[n] if own[n] else names[first[n]] for n in range(len(named))]
    stands = decided[decided["decision"].isin(["manual", "key", "model"])]
    ends = [stands[["left", "rule"]], stands[["right", "rule"]].rename(columns={"right": "left"})]
    # The surest link of each record says why it is where it is.
    why = (
        pd.concat(ends).sort_index(kind="stable").drop_duplicates("left").set_index("left")["rule"]
    )
    alone = named["told"].map({True: "own record", False: None})
    return pd.DataFrame(
        {"party": party, "customer_id": ids, "rule": why.reindex(named.index).fillna(alone)}
    )


def _merges(named: pd.DataFrame, decided: pd.DataFrame, apart: pd.DataFrame) -> pd.DataFrame:
    refused = apart.assign(decision="refused").reindex(columns=list(LINKS.names))
    every = pd.concat([decided, refused], ignore_index=True)
    every = every.drop_duplicates(["left", "right", "decision"])
    left, right = named.iloc[every["left"]], named.iloc[every["right"]]
    later = pd.concat(
        [left["known_at"].reset_index(drop=True), right["known_at"].reset_index(drop=True)], axis=1
    )
    columns = {
        "left_source": left["source"].to_numpy(),
        "left_id": left["record_id"].to_numpy(),
        "right_source": right["source"].to_numpy(),
        "right_id": right["record_id"].to_numpy(),
        **{name: every[name].to_numpy() for name in LINKS.names if name not in ("left", "right")},
        "known_at": later.max(axis=1).to_numpy(),
    }
    return pd.DataFrame(columns)[list(MERGES.names)]
