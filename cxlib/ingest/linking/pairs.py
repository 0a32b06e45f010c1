"""Which records are linked, and which may not be: keys, people who share a contact, the model."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxlib.engine.functions import edits, resemblance
from cxlib.engine.writing import create_table, row_count
from cxlib.ingest.linking.blocks import add_blocks
from cxlib.ingest.linking.model import PEOPLE, score_pairs, train_model

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["LINKS", "find_pairs"]

_MOST_HOLDERS = 50
"""A contact with more names than this belongs to an office: it tells nobody."""

LINKS = ibis.schema(
    {
        "left": "int64",
        "right": "int64",
        "decision": "string",
        "rule": "string",
        "match_weight": "float64",
        "probability": "float64",
        "evidence": "string",
    }
)
"""Columns of a link between two records, by their numbers."""


def find_pairs(con: BaseBackend, parties: ir.Table) -> tuple[ir.Table, ir.Table]:
    """Links between records, and pairs of records that are two persons.

    Parameters
    ----------
    con
        An engine of its own: it holds what tells persons apart, and Splink's tables.
    parties
        One row per record: ``n`` (its number), ``key`` (a customer number or the like), and the
        fields.

    Returns
    -------
    tuple of ibis.expr.types.Table
        Links with the columns ``LINKS``, a pair once for each rule that finds it; and pairs
        ``left``, ``right``, ``rule`` of people who share a contact and clearly differ.
    """
    people = _without_offices(parties)
    blocked = add_blocks(people.filter(*_compared(people)))
    create_table(con, PEOPLE, blocked)
    people = con.table(PEOPLE)
    conflicts = create_table(con, "conflicts", _conflicts(people))
    keys = [_equal_keys(parties), _equal_emails(people, conflicts)]
    certain = create_table(con, "certain", reduce(ir.Table.union, keys))
    if row_count(people) < 2:
        return certain, conflicts.drop("value")
    scored = create_table(con, "scored", score_pairs(con, train_model(con)))
    clashing = _clashing(people, scored)
    model = scored.anti_join(clashing, ["left", "right"]).mutate(
        decision=ibis.literal("model"), rule=ibis.literal("model")
    )
    links = certain.union(model.select(*LINKS.names))
    return links, conflicts.drop("value").union(clashing)


def _compared(people: ir.Table) -> list[ir.BooleanValue]:
    told = [people[name].notnull() for name in ("given_name", "surname", "email", "phone")]
    return [ibis.or_(*told)]


def _without_offices(parties: ir.Table) -> ir.Table:
    """Records without the contacts that too many different names share."""
    for name in ("email", "phone"):
        holders = parties.group_by(name).aggregate(
            cx_names=(parties.given_name + " " + parties.surname).nunique()
        )
        offices = holders.filter(holders.cx_names > _MOST_HOLDERS).select(cx_office=name)
        joined = parties.left_join(offices, parties[name] == offices.cx_office)
        value = ibis.ifelse(joined.cx_office.notnull(), ibis.null("string"), joined[name])
        parties = joined.mutate(**{name: value}).drop("cx_office")
    return parties


def clearly_differ(left: ir.Table, right: ir.Table) -> ir.BooleanValue:
    """Whether two records name two persons: unlike given names, and no birth date in common."""
    one, other = left.given_name, right.given_name
    alike = (
        one.startswith(other)
        | other.startswith(one)
        | (resemblance(one, other) >= 0.8)
        | (edits(one, other) <= 1)
        | (one == right.surname)
        | (other == left.surname)
    ).fill_null(True)
    same_birth = (edits(left.birth_date, right.birth_date) <= 1).fill_null(False)
    return ~alike & ~same_birth


def _conflicts(people: ir.Table) -> ir.Table:
    """People who share an e-mail or a phone and clearly differ: ``left, right, rule, value``."""
    found = []
    for name in ("email", "phone"):
        left = people.filter(people[name].notnull(), people.given_name.notnull())
        right = left.view()
        pairs = left.join(
            right, [left[name] == right[name], left.n < right.n, clearly_differ(left, right)]
        )
        said = f"two people share the {'e-mail' if name == 'email' else name}"
        found.append(
            pairs.select(left=left.n, right=right.n, rule=ibis.literal(said), value=left[name])
        )
    pairs = found[0].union(found[1])
    return pairs.group_by("left", "right").aggregate(
        rule=pairs["rule"].min(), value=pairs["value"].max(where=pairs["value"].contains("@"))
    )


def _star(records: ir.Table, by: list[str], rule: str) -> ir.Table:
    """Each record linked to the first one that agrees with it."""
    first = records.n.min().over(group_by=by)
    pairs = records.mutate(left=first, right=records.n)
    return _certain(pairs.filter(pairs.left < pairs.right), rule)


def _certain(pairs: ir.Table, rule: str) -> ir.Table:
    return pairs.select(
        left=pairs.left,
        right=pairs.right,
        decision=ibis.literal("key"),
        rule=ibis.literal(rule),
        match_weight=ibis.null("float64"),
        probability=ibis.literal(1.0),
        evidence=ibis.null("string"),
    )


def _equal_keys(parties: ir.Table) -> ir.Table:
    known = parties.filter(parties.key.notnull())
    return _star(known, ["key"], "shared key")


def _equal_emails(people: ir.Table, conflicts: ir.Table) -> ir.Table:
    """Records with one e-mail; where different people share it, only those of one name."""
    shared = conflicts.filter(conflicts["value"].notnull()).select(email="value").distinct()
    holders = people.filter(people.email.notnull())
    alone = _star(holders.anti_join(shared, "email"), ["email"], "same e-mail")
    named = holders.semi_join(shared, "email").filter(holders.given_name.notnull())
    within = _star(named, ["email", "given_name"], "same e-mail and name")
    return alone.union(within)


def _clashing(people: ir.Table, scored: ir.Table) -> ir.Table:
    """Pairs that the model takes for one person, and whose names and birth dates say two."""
    one = people.select("n", "given_name", "surname", "birth_date")
    other = one.view()
    joined = scored.join(one, scored.left == one.n).join(other, scored.right == other.n)
    pairs = joined.filter(clearly_differ(one, other))
    return pairs.select(
        left=scored.left, right=scored.right, rule=ibis.literal("names and birth dates differ")
    )
