"""How well and how fast records are linked, on data whose truth is known.

``python -m tests.bench.identity`` prints precision, recall and F1 over pairs of records; with
``--records 1000000`` it makes so many records itself and prints the time, too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from cxlib.engine.connect import connect
from cxlib.ingest.config import Sources, load_sources
from cxlib.ingest.identity import resolve_identities
from cxlib.ingest.inputs import open_inputs
from cxlib.ingest.sources import stage_source
from cxlib.ingest.staging import StagedFiles
from tests.bench.memory import peak_gb

FEBRL = {
    "given_name": "given_name",
    "surname": "surname",
    "house_number": "street_number",
    "street": "address_1",
    "city": "suburb",
    "postcode": "postcode",
    "birth_date": "date_of_birth",
}
FAKE = {
    "given_name": "first_name",
    "surname": "surname",
    "email": "email",
    "city": "city",
    "birth_date": "dob",
}
MADE = {
    "given_name": "given_name",
    "surname": "surname",
    "email": "email",
    "phone": "phone",
    "street": "street",
    "city": "city",
    "postcode": "postcode",
    "birth_date": "birth_date",
}
REGISTERS = (
    "crm_contacts",
    "billing_customers",
    "support_tickets",
    "surveys",
    "web_visitors",
    "app_users",
)


def link(folder: Path, config: Sources, names: Iterable[str]) -> pd.DataFrame:
    """Customer of each record: ``source, record_id, customer_id, rule, known_at``."""
    con = connect()
    staged: dict[str, Any] = {}
    with TemporaryDirectory() as kept, open_inputs(config, folder, folder) as inputs:
        files = StagedFiles(Path(kept, "staged"), "bench")
        for name in names:
            own = [item for item in inputs if item.source == name]
            staged[name] = stage_source(con, config, name, own, staged, files)
        return resolve_identities(staged, con=con, config=config).identities.to_pandas()


def link_records(records: pd.DataFrame, identity: Mapping[str, str]) -> pd.DataFrame:
    """Customer of each row of a frame with an ``id``."""
    with TemporaryDirectory() as folder:
        records.to_parquet(Path(folder, "people.parquet"), index=False)
        people = {"file": "people.parquet", "id": "id", "identity": dict(identity)}
        config = Sources.model_validate({"name": "people", "sources": {"people": people}})
        return link(Path(folder), config, ["people"])


def febrl(shared: Path, number: int) -> pd.DataFrame:
    """A Febrl data set, with ``id`` and ``truth``; its social security number is not used."""
    path = shared / "data" / "febrl" / f"dataset{number}.csv.gz"
    rows = pd.read_csv(path, dtype=str, skipinitialspace=True)
    rows.columns = rows.columns.str.strip()
    return rows.assign(id=rows["rec_id"], truth=rows["rec_id"].str.split("-").str[1])


def fake(shared: Path) -> pd.DataFrame:
    """Splink's fake_1000, with ``id`` and ``truth``."""
    rows = pd.read_csv(shared / "data" / "splink" / "fake_1000.csv.gz", dtype=str)
    return rows.assign(id=rows["unique_id"], truth=rows["cluster"])


def company(folder: Path, customers: int) -> pd.DataFrame:
    """Records of the demo company with ``customer_id`` and ``truth``, those that can be used."""
    from cxlib import simulate_company

    simulate_company(folder, customers=customers)
    linked = link(folder / "exports", load_sources(folder / "sources.yml"), REGISTERS)
    truth = pd.read_csv(next((folder / "truth").glob("identities.csv*")), dtype=str)
    truth = truth.rename(columns={"system": "source", "person_id": "truth"})
    return linked.merge(truth, on=["source", "record_id"], validate="one_to_one")


def made(records: int, seed: int = 1) -> pd.DataFrame:
    """Records of people who do not exist: six in ten once, the others again with mistakes."""
    rng = np.random.default_rng(seed)
    people = int(records * 0.6)
    person = np.concatenate([np.arange(people), rng.integers(0, people, records - people)])
    given, surname = (_words(rng, size) for size in (3_000, 40_000))
    street, city = _words(rng, 5_000), _words(rng, 800)
    often = {name: rng.zipf(1.35, people) % size for name, size in (("g", 3_000), ("s", 40_000))}
    where = rng.integers(0, 800, people)
    frame = pd.DataFrame(
        {
            "given_name": given[often["g"]],
            "surname": surname[often["s"]],
            "phone": 10**8 + np.arange(people) * 7_919 % (9 * 10**8),
            "street": street[rng.integers(0, 5_000, people)],
            "house": rng.integers(1, 200, people),
            "city": city[where],
            "postcode": 10_000 + where * 10 + rng.integers(0, 10, people),
            "birth_date": pd.Timestamp("1930-01-01")
            + pd.to_timedelta(rng.integers(0, 27_000, people), "D"),
        }
    )
    # Of their own: by a short number, those of the most frequent name would share addresses.
    number = pd.Series(rng.permutation(people)).astype(str)
    frame["email"] = frame["given_name"] + "." + frame["surname"] + number + "@example.com"
    frame["street"] = frame["street"] + " " + frame.pop("house").astype(str)
    rows = frame.iloc[person].astype(str).reset_index(drop=True)
    again = np.arange(records) >= people
    for name in rows.columns:
        missing = rng.random(records) < 0.1
        rows.loc[missing, name] = None
        wrong = again & ~missing & (rng.random(records) < 0.08)
        rows.loc[wrong, name] = [_misspelt(text, rng) for text in rows.loc[wrong, name]]
    return rows.assign(id=[f"R{n:08d}" for n in range(records)], truth=person.astype(str))


def _words(rng: np.random.Generator, size: int) -> np.ndarray:
    parts = np.array([a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u")])
    picks = parts[rng.integers(0, len(parts), (size, 4))]
    lengths = rng.integers(2, 5, size)
    return np.array(["".join(row[:n]) for row, n in zip(picks, lengths, strict=True)])


def _misspelt(text: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(0, len(text)))
    return text[:place] + text[place + 1 :]


def agreement(linked: pd.DataFrame) -> dict[str, float]:
    """Pairwise ``precision``, ``recall`` and ``f1`` of ``customer_id`` against ``truth``."""

    def pairs(by: list[str]) -> float:
        size = linked.groupby(by).size().astype(float)
        return float((size * (size - 1) / 2).sum())

    both, found, true = (pairs(by) for by in (["customer_id", "truth"], ["customer_id"], ["truth"]))
    precision, recall = both / found if found else 1.0, both / true
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall),
    }


def measured(records: pd.DataFrame, identity: Mapping[str, str]) -> dict[str, float]:
    """Agreement of the links between a frame's rows with its ``truth``."""
    linked = link_records(records.drop(columns="truth"), identity)
    truth = records[["id", "truth"]].rename(columns={"id": "record_id"})
    return agreement(linked.merge(truth, on="record_id", validate="one_to_one"))


def show(name: str, found: Mapping[str, float], more: str = "") -> None:
    """Print one line."""
    shares = "  ".join(f"{word} {found[word]:.4f}" for word in ("precision", "recall", "f1"))
    print(f"{name:<28} {shares}{more}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path, help="folder of the example data")
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--records", type=int, default=0)
    given = parser.parse_args()
    if given.shared is not None:
        for number in (1, 2, 3):
            show(f"Febrl {number}", measured(febrl(given.shared, number), FEBRL))
        show("fake_1000", measured(fake(given.shared), FAKE))
    if given.customers:
        with TemporaryDirectory() as folder:
            show("demo company", agreement(company(Path(folder), given.customers)))
    if given.records:
        records = made(given.records)
        began = time.perf_counter()
        found = measured(records, MADE)
        took = time.perf_counter() - began
        peak = peak_gb()
        show(f"{given.records:,} records", found, f"  {took:.0f} s, at most {peak:.1f} GB")


if __name__ == "__main__":
    main()
