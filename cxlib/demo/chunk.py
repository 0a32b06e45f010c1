"""A fixed number of customers that are simulated together, whatever the size of the company."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxlib.demo.columns import as_times, at_day
from cxlib.demo.lives import DAY, Customers, Lives, draw_customers, draw_lives, seconds
from cxlib.demo.parameters import PlantedTruth
from cxlib.demo.people import Faults, People, draw_people

__all__ = ["CHUNK", "Chunk", "Export", "draw_chunk"]

CHUNK = 2_500
"""Customers of a chunk. Another number gives another company for the same seed."""


@dataclass(frozen=True)
class Export:
    """Rows of one exported file.

    Attributes
    ----------
    name
        Name of the source.
    columns
        The file's columns.
    person
        Position of the person whose row it is.
    record
        Column with the system's own id, where the row says who somebody is.

    Examples
    --------
    >>> export = Export("crm", {"contact_id": pa.array(["C1"])}, np.array([0]))
    >>> export.table().num_rows
    1
    """

    name: str
    columns: dict[str, pa.Array]
    person: NDArray[np.int64]
    record: str | None = None

    def table(self) -> pa.Table:
        """The rows as a table."""
        return pa.table(self.columns)


@dataclass(frozen=True)
class Chunk:
    """Persons of a chunk and what happens to them.

    Examples
    --------
    >>> chunk = draw_chunk(7, 0, PlantedTruth(), Faults())
    >>> chunk.first_row("invoices", 100)
    0
    """

    seed: int
    number: int
    truth: PlantedTruth
    faults: Faults
    people: People
    customers: Customers
    lives: Lives
    account: NDArray[np.int64] = field(repr=False)

    @property
    def begin(self) -> int:
        """Start of the window in seconds."""
        return seconds(self.truth.window_start)

    @property
    def end(self) -> int:
        """End of the window in seconds."""
        return seconds(self.truth.observed_until)

    @property
    def period(self) -> int:
        """Length of a billing period in seconds."""
        return self.truth.period_days * DAY

    @property
    def prospects(self) -> int:
        """Persons of the chunk who never buy; they follow the customers."""
        return len(self.people.phone) - CHUNK

    def stream(self, name: str) -> np.random.Generator:
        """Random numbers of one part of this chunk; each part has its own."""
        return _stream(self.seed, self.number, name)

    def first_row(self, what: str, per_customer: int, rows: int = 0) -> int:
        """Number of the first row of a table, apart from those of the other chunks."""
        room = per_customer * CHUNK
        if rows > room:
            raise OverflowError(f"{rows} rows of {what} in a chunk that has numbers for {room}")
        return self.number * room

    def persons(self) -> NDArray[np.int64]:
        """Number of each person among all chunks."""
        return self.number * len(self.people.phone) + np.arange(len(self.people.phone))

    def opens(self, period: NDArray[np.int64], life: NDArray[np.int64]) -> NDArray[np.int64]:
        """Start of a row of the matrices of a subscription, in seconds."""
        return self.lives.started[life] + (self.lives.first[life] + period) * self.period

    def last_opens(self, life: NDArray[np.int64]) -> NDArray[np.int64]:
        """Start of the period in which a subscription ends, in seconds."""
        started = self.lives.started[life]
        return started + (self.lives.ended[life] - 1 - started) // self.period * self.period

    def seen(self, when: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a moment lies in the window."""
        return (when >= self.begin) & (when <= self.end)

    def times(
        self,
        when: NDArray[np.int64],
        happened: NDArray[np.bool_] | None = None,
        *,
        style: str = "utc",
    ) -> pa.Array:
        """Moments as a system writes them, at day; null where something did not happen.

        What happens after the window, or never, is not known and null as well.
        """
        known = when <= self.end
        if happened is not None:
            known = known & happened
        return as_times(at_day(np.where(known, when, 0)), ~known, style=style)


def _stream(seed: int, number: int, name: str) -> np.random.Generator:
    # A part's numbers depend on its name alone: a change in one leaves the others as they are.
    key = (number, zlib.crc32(name.encode()))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def draw_chunk(seed: int, number: int, truth: PlantedTruth, faults: Faults) -> Chunk:
    """One chunk of the company: the same for every size of the company.

    Parameters
    ----------
    seed
        Seed of the company.
    number
        Which chunk, from 0.
    truth
        Parameters of what happens.
    faults
        Mistakes in the exports.

    Returns
    -------
    Chunk
        CHUNK customers, and prospects in proportion.

    Examples
    --------
    >>> draw_chunk(7, 0, PlantedTruth(), Faults()).customers.started.size == CHUNK
    True
    """
    streams = (_stream(seed, number, name) for name in ("people", "customers", "lives", "accounts"))
    rng_people, rng_customers, rng_lives, rng_accounts = streams
    size = CHUNK + round(CHUNK * truth.prospects_per_customer)
    people = draw_people(rng_people, size, first=number * size, faults=faults)
    customers = draw_customers(rng_customers, CHUNK, truth)
    lives = draw_lives(rng_lives, customers, truth)
    second = (rng_accounts.random(CHUNK) < faults.new_account)[lives.customer] & (lives.spell > 1)
    places = number * 2 * CHUNK + rng_accounts.permutation(2 * CHUNK)
    account = places[2 * lives.customer + second]
    return Chunk(seed, number, truth, faults, people, customers, lives, account)
