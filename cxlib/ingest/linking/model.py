"""How likely two records are about one person: a Fellegi-Sunter model, trained by Splink."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from cxlib.engine.functions import link_engine
from cxlib.engine.writing import row_count
from cxlib.ingest.linking.blocks import BLOCKS
from cxlib.ingest.linking.fields import FIELDS
from cxlib.ingest.linking.levels import COMPARISONS, PRIOR_PAIRS

if TYPE_CHECKING:
    from ibis.backends import BaseBackend
    from splink import Linker

__all__ = ["PEOPLE", "THRESHOLD", "score_pairs", "train_model"]

PEOPLE = "people"
"""The table of records to compare: ``n`` (their number), the fields and their blocks."""

THRESHOLD = 0.9
"""Least probability, by the model's own estimate, at which two records are one person."""

_SAMPLED_PAIRS = 250_000
_TRAINING_PAIRS = 300_000
_ENOUGH_PAIRS = 50
_RECALL = 0.7  # what Splink's own guide takes for such rules; a factor of two moves 1 bit

_CERTAIN = (
    ("email",),
    ("phone",),
    ("given_name", "surname", "birth_date"),
    ("given_name", "surname", "street", "postcode"),
)
"""Fields on which two persons hardly agree by chance."""

_TRAINED_ON = (
    ("email",),
    ("phone",),
    ("surname", "birth_date"),
    ("given_name", "birth_date"),
    ("given_name", "surname"),
    ("street", "postcode"),
)
"""Each set of equal fields gives pairs that teach how the other fields differ within a person."""


def train_model(con: BaseBackend) -> dict[str, Any]:
    """The model of the records in ``people``: Splink's settings, ready to score.

    Parameters
    ----------
    con
        Holds the table ``people``.

    Returns
    -------
    dict
        Of plain values. The same records, numbered the same way, give the same model: samples are
        taken by a hash of the numbers, and what is estimated is rounded to six digits.

    Notes
    -----
    How often fields agree by chance (u) comes from pairs at random; how often they agree within a
    person (m) from expectation maximisation on pairs that agree elsewhere. Both start from, and
    with few pairs stay close to, the values in ``levels``.
    """
    people = con.table(PEOPLE)
    known = _filled(people)
    records = row_count(people)
    settings: dict[str, Any] = {
        "link_type": "dedupe_only",
        "unique_id_column_name": "n",
        "comparisons": [item for name, item in COMPARISONS.items() if name in known],
        "blocking_rules_to_generate_predictions": [],
        "probability_two_random_records_match": _share_of_matches(people, known, records),
    }
    with _quiet():
        linker = _linker(con, settings)
        linker.training.estimate_u_using_random_sampling(
            max_pairs=_SAMPLED_PAIRS, seed=1, min_count_per_level=None, num_chunks=1
        )
        at_random = min(_SAMPLED_PAIRS, records * (records - 1) // 2)
        estimate = linker.misc.save_model_to_json()["comparisons"]
        settings["comparisons"] = _tempered(
            settings["comparisons"], [(at_random, estimate)], "u_probability"
        )
        learned = [_learn(con, settings, fields) for fields in _TRAINED_ON if known >= set(fields)]
    settings["comparisons"] = _tempered(settings["comparisons"], learned, "m_probability")
    return settings


def _filled(people: ir.Table) -> set[str]:
    """Fields that any record has."""
    counts = people.aggregate(**{name: people[name].count() for name in FIELDS})
    return {name for name, count in counts.to_pyarrow().to_pylist()[0].items() if count}


def _learn(
    con: BaseBackend, settings: Mapping[str, Any], fields: tuple[str, ...]
) -> tuple[int, list[dict[str, Any]]]:
    """Comparisons as the pairs that agree on some fields teach them, and how many pairs."""
    from splink import block_on

    pairs = _pairs(con.table(PEOPLE), fields)
    if pairs < _ENOUGH_PAIRS:
        return 0, []
    linker = _linker(con, settings)
    try:
        linker.training.estimate_parameters_using_expectation_maximisation(
            block_on(*fields),
            estimate_without_term_frequencies=True,
            max_pairs=_TRAINING_PAIRS,
        )
    except ValueError:
        # No match among them at all: the pairs teach nothing, and Splink stops at a share of 0.
        return 0, []
    return min(pairs, _TRAINING_PAIRS), linker.misc.save_model_to_json()["comparisons"]


def score_pairs(con: BaseBackend, model: Mapping[str, Any]) -> ir.Table:
    """Pairs of records that are one person, by the model: at or over the threshold.

    Parameters
    ----------
    con
        Holds the table ``people``, with blocks.
    model
        From ``train_model``.

    Returns
    -------
    ibis.expr.types.Table
        One row per pair: ``left``, ``right`` (numbers, the smaller first), ``match_weight`` (bits),
        ``probability``, ``evidence`` (level and weight of each field, as text).
    """
    from splink import block_on

    names = set(con.table(PEOPLE).columns)
    rules = [block_on(name) for name in BLOCKS if name in names]
    settings = {
        **model,
        "blocking_rules_to_generate_predictions": rules,
        "retain_matching_columns": True,  # or Splink drops the levels that were reached
        "retain_intermediate_calculation_columns": True,
    }
    with _quiet():
        linker = _linker(con, settings)
        found = linker.inference.predict(threshold_match_probability=THRESHOLD)
    pairs = con.table(found.physical_name)
    return pairs.select(
        left=ibis.least(pairs.n_l, pairs.n_r),
        right=ibis.greatest(pairs.n_l, pairs.n_r),
        match_weight=pairs.match_weight.round(3),
        probability=pairs.match_probability,
        evidence=_evidence(pairs, model),
    )


def _linker(con: BaseBackend, settings: Mapping[str, Any]) -> Linker:
    from splink import Linker, SettingsCreator

    engine: Any = link_engine(con)
    return Linker(
        engine.register(PEOPLE),
        SettingsCreator(**settings),
        # The settings are cxlib's own, and the tests hold them right; to check takes half a second.
        validate_settings=False,
        log_level=logging.CRITICAL,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Splink's progress to itself."""
    logger = logging.getLogger("splink")
    before = logger.level, logger.disabled
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before[0])
        logger.disabled = before[1]


def _pairs(people: ir.Table, fields: tuple[str, ...]) -> int:
    """Pairs of records that agree on all of the fields."""
    full = people.filter(*(people[name].notnull() for name in fields))
    sizes = full.group_by(list(fields)).aggregate(size=full.count())
    pairs = (sizes["size"] * (sizes["size"] - 1)).sum() / 2
    return int(pairs.fill_null(0).to_pyarrow().as_py())


def _share_of_matches(people: ir.Table, known: set[str], records: int) -> float:
    """Share of all pairs that are one person, from pairs that agree on fields that say much."""
    most = max(
        [_pairs(people, fields) for fields in _CERTAIN if known.issuperset(fields)], default=0
    )
    share = max(most, 1) / _RECALL / max(records * (records - 1) / 2, 1)
    return _rounded(min(share, 0.1))


def _tempered(
    comparisons: Sequence[Mapping[str, Any]],
    learned: Sequence[tuple[int, Sequence[Mapping[str, Any]]]],
    share: str,
) -> list[dict[str, Any]]:
    """Comparisons with the mean of what was learned, drawn to what is usual where that is little.

    The weights are the pairs that each estimate is made from; the usual counts for
    ``PRIOR_PAIRS``. An estimate that leaves a comparison as it was has not looked at it.
    """
    made = []
    for place, comparison in enumerate(comparisons):
        usual = [level.get(share) for level in comparison["comparison_levels"]]
        sums, weight = [PRIOR_PAIRS * (value or 0.0) for value in usual], float(PRIOR_PAIRS)
        for pairs, estimate in learned:
            if not estimate:
                continue
            found = [level.get(share) for level in estimate[place]["comparison_levels"]]
            if found == usual:
                continue
            weight += pairs
            # A level that was not met is rare, and no more than that.
            met = [value if isinstance(value, float) else 0.0 for value in found]
            sums = [total + pairs * value for total, value in zip(sums, met, strict=True)]
        levels = [
            {**level, share: _rounded(total / weight)} if share in level else dict(level)
            for level, total in zip(comparison["comparison_levels"], sums, strict=True)
        ]
        made.append({**comparison, "comparison_levels": levels})
    return made


def _rounded(value: float) -> float:
    # Sums on several cores differ in their last digits from run to run; links must not.
    return float(f"{value:.6g}")


def _evidence(pairs: ir.Table, model: Mapping[str, Any]) -> ir.StringValue:
    """Each field's level and weight in one text, such as "surname equal +8.2; city other -2.9"."""
    texts = []
    for comparison in model["comparisons"]:
        name = comparison["output_column_name"]
        levels = [item for item in comparison["comparison_levels"] if not item.get("is_null_level")]
        reached = pairs[f"gamma_{name}"]
        label = ibis.cases(
            *(
                (reached == len(levels) - 1 - place, str(item["label_for_charts"]))
                for place, item in enumerate(levels)
            )
        )
        weight = pairs[f"mw_{name}"]
        if f"mw_tf_adj_{name}" in pairs.columns:
            weight = weight + pairs[f"mw_tf_adj_{name}"]
        weight = weight.round(1)
        sign = ibis.ifelse(weight >= 0, "+", "")
        text = ibis.literal(f"{name} ") + label + " " + sign + weight.cast("string")
        texts.append(ibis.ifelse(reached < 0, ibis.null("string"), text))
    return ibis.array(texts).filter(lambda text: text.notnull()).join("; ")
