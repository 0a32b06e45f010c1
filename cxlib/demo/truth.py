"""The truth beside the exports: who is who, what they are like, what they went through."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxlib.demo.chunk import CHUNK, Chunk, Export
from cxlib.demo.columns import as_ids, glue, pick
from cxlib.demo.parameters import CAUSES, CHANNELS, PLANS

__all__ = ["person_ids", "true_customers", "true_identities", "true_periods", "true_spells"]

_REASONS = (*CAUSES, "not_renewed")


def person_ids(chunk: Chunk, person: NDArray[np.int64]) -> pa.Array:
    """Id of each person: P for a customer, N for one who never bought."""
    of_kind = np.where(
        person < CHUNK,
        chunk.number * CHUNK + person,
        chunk.number * chunk.prospects + person - CHUNK,
    )
    return glue(pick(("P", "N"), (person >= CHUNK).astype(int)), as_ids("", of_kind))


def true_identities(chunk: Chunk, exports: Iterable[Export]) -> Export:
    """Which person each record of each system belongs to: ``system, record_id, person_id``."""
    named = [export for export in exports if export.record is not None]
    person = np.concatenate([export.person for export in named])
    system = np.repeat(np.arange(len(named)), [export.person.size for export in named])
    columns = {
        "system": pick([export.name for export in named], system),
        "record_id": pa.concat_arrays([export.columns[str(export.record)] for export in named]),
        "person_id": person_ids(chunk, person),
    }
    return Export("identities", columns, person)


def true_customers(chunk: Chunk) -> Export:
    """One row per customer: what they are like, and their first subscription."""
    customers, lives, who = chunk.customers, chunk.lives, np.arange(CHUNK)
    ended = lives.ended[:CHUNK]
    counts = np.bincount(lives.customer, minlength=CHUNK)
    columns = {
        "person_id": person_ids(chunk, who),
        "acquisition_channel": pick(CHANNELS, customers.channel),
        "contract": pick(("monthly", "annual"), customers.annual.astype(int)),
        "plan": pick([plan.name for plan in PLANS], customers.plan),
        "price_tier": pick(("low", "middle", "high"), customers.tier),
        "payment_method": pick(("card", "direct_debit"), customers.debit.astype(int)),
        "before_window": pa.array(customers.legacy.astype(np.int8)),
        "technician": pa.array((customers.technician & ~customers.legacy).astype(np.int8)),
        "rescheduled_installation": pa.array(lives.rescheduled[:CHUNK].astype(np.int8)),
        "signed_up_at": chunk.times(customers.started),
        "churned_at": chunk.times(ended),
        "cause": pick(_REASONS, lives.cause[:CHUNK]),
        "subscriptions": pa.array(counts),
        "usual_mood": pa.array(np.round(customers.trait, 4)),
        "decline_probability": pa.array(np.round(customers.decline, 6), mask=~customers.annual),
        "purchases_per_period": pa.array(np.round(customers.purchase_rate, 6)),
        "mean_purchase_value": pa.array(
            np.round(chunk.truth.purchase_value[0] * customers.purchase_scale, 4)
        ),
    }
    return Export("customers", columns, who)


def true_spells(chunk: Chunk) -> Export:
    """One row per subscription: start, end and cause."""
    lives = chunk.lives
    columns = {
        "person_id": person_ids(chunk, lives.customer),
        "spell": pa.array(lives.spell),
        "started_at": chunk.times(lives.started),
        "ended_at": chunk.times(lives.ended),
        "cause": pick(_REASONS, lives.cause),
        "rescheduled_installation": pa.array(lives.rescheduled.astype(np.int8)),
    }
    return Export("spells", columns, lives.customer)


def true_periods(chunk: Chunk) -> Export:
    """One row per subscription and billing period at risk: conditions and outcome.

    ``exposure`` is the part of the period's risk that lies in the window, 1 for a whole period;
    the probability to leave is 1 - exp(-hazard * exposure).
    """
    lives, customers, truth = chunk.lives, chunk.customers, chunk.truth
    period, life = np.nonzero((lives.exposure > 0) & lives.at_risk)
    order = np.lexsort((period, life))
    period, life = period[order], life[order]
    who, number = lives.customer[life], lives.first[life] + period
    friction = lives.rescheduled[life] & (number < truth.friction_periods)

    def flags(matrix: NDArray[np.bool_]) -> pa.Array:
        return pa.array(matrix[period, life].astype(np.int8))

    def words(names: tuple[str, ...], codes: NDArray[np.int64]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(
            pa.array(codes.astype(np.int8), mask=codes < 0), pa.array(names)
        )

    columns = {
        "person_id": person_ids(chunk, who),
        "spell": pa.array(lives.spell[life].astype(np.int8)),
        "period": pa.array(number.astype(np.int16)),
        "exposure": pa.array(np.minimum(lives.exposure[period, life], 1.0)),
        "churned": flags(lives.churned),
        "cause": words(CAUSES, np.where(lives.churned[period, life], lives.cause[life], -1)),
        "annual_contract": pa.array(customers.annual[who].astype(np.int8)),
        "channel": words(CHANNELS, customers.channel[who]),
        "price_tier": words(("low", "middle", "high"), customers.tier[who]),
        "returned": pa.array((lives.spell[life] > 1).astype(np.int8)),
        "rescheduled_installation": pa.array(friction.astype(np.int8)),
        "failed_payment": flags(lives.failed_before),
        "two_handoffs": flags(lives.handoffs_before),
        "low_sentiment": flags(lives.low_before),
    }
    return Export("person_periods", columns, who)
