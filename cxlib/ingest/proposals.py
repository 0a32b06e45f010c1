"""What an export seems to hold, in the words of `sources.yml`."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from cxlib.ingest.event_logs import CASE
from cxlib.ingest.looks import Look, plain_name
from cxlib.ingest.notations import MOSTLY, are_numbers, filled, is_ambiguous, is_time, time_format

__all__ = ["ask_of", "propose", "refer"]

_MOMENT = re.compile(r"_?(at|on|date|time|datetime|timestamp|dt|datum|zeit|zeitpunkt)$")
_VAGUE = (
    *("", "created", "create", "event", "timestamp", "date", "time", "occurred", "recorded"),
    *("angelegt", "erstellt"),
)
_SIGNED_UP = ("signup", "registered", "registriert", "angemeldet")


def refer(looks: list[Look]) -> list[Look]:
    """Looks with names of their own, in which rows without an e-mail refer to one with it.

    Examples
    --------
    >>> import pandas as pd
    >>> from cxlib.ingest.looks import look_at
    >>> people = look_at("users.csv", pd.DataFrame({"id": ["1"], "email": ["a@x.example"]}))
    >>> orders = look_at("orders.csv", pd.DataFrame({"order_id": ["9"], "user_id": ["1"]}))
    >>> [look.of for look in refer([people, orders])]
    [None, 'users']
    """
    named: list[Look] = []
    for look in looks:
        taken = sum(one.name == look.name or one.name.startswith(f"{look.name}_") for one in named)
        named.append(replace(look, name=f"{look.name}_{taken + 1}") if taken else look)
    return [_referring(look, named) for look in named]


def _referring(look: Look, looks: list[Look]) -> Look:
    if look.email is not None or look.customer is None:
        return look
    own = set(look.frame[look.customer].dropna().astype("str"))
    for other in looks:
        if other is look or other.id is None or not own:
            continue
        register = other.email is not None or other.customer is None
        ids = set(other.frame[other.id].dropna().astype("str"))
        alike = look.customer.lower() in (other.id.lower(), f"{other.name[:-1]}_id".lower())
        if register and (len(own & ids) / len(own) > 0.3 or (alike and other.email)):
            return replace(look, of=other.name)
    return look


def ask_of(look: Look) -> str:
    """What must be decided before the export can be read at all; empty where nothing must.

    Examples
    --------
    >>> import pandas as pd
    >>> from cxlib.ingest.looks import look_at
    >>> ask_of(look_at("plans.csv", pd.DataFrame({"plan": ["pro"]})))
    'which column says whose the rows are'
    """
    if look.email is None and look.customer is None and look.id is None:
        return "which column says whose the rows are"
    return ""


def propose(look: Look) -> str:
    """Words of a source in ``sources.yml``, with a comment on what is guessed.

    Examples
    --------
    >>> import pandas as pd
    >>> from cxlib.ingest.looks import look_at
    >>> frame = pd.DataFrame({"order_id": ["9"], "user_id": ["1"], "placed_at": ["2024-01-05"]})
    >>> print(propose(look_at("orders.csv", frame)))
      orders:
        file: "orders.csv"
        id: order_id
        customer: {key: user_id}        # to decide: is it the key that all systems share?
        events:
          - touchpoint: placed_order    # to decide: the name, from the customer's side
            time: placed_at
    <BLANKLINE>
    """
    lines = [f"  {look.name}:", f'    file: "{look.file}"']
    if look.encoding is not None:
        lines.append(f"    encoding: {look.encoding}    # to decide: are letters such as é right?")
    if look.decimal is not None:
        lines.append(f'    decimal: "{look.decimal}"')
    if look.id is not None:
        lines.append(f"    id: {_word(look.id)}")
    lines.append(f"    customer: {_customer(look)}")
    facts = _facts(look)
    if facts:
        told = ", ".join(_word(name) for name in facts)
        lines.append(f"    attributes: [{told}]   # facts about the customer")
    rules = [rule for name in look.times for rule in _event(look, name)]
    if rules:
        lines += ["    events:", *rules]
    else:
        lines.append("    # to decide: no column holds the times of events")
    return "\n".join([*lines, *_left_over(look), ""])


def _facts(look: Look) -> tuple[str, ...]:
    """Columns that are facts about the customer: those of a record that is the customer's own."""
    is_register = look.id is not None and look.of is None and (look.email or not look.customer)
    return look.attributes if is_register else ()


def _left_over(look: Look) -> list[str]:
    """Comments on the columns that the proposal does not read."""
    scored = look.score[0] if look.score else None
    read = {look.id, look.email, look.customer, look.kind, look.value, look.currency, look.text}
    read |= {scored, *look.times, *_facts(look), *look.fields.values(), *look.when}
    columns = [str(name) for name in look.frame.columns]
    rest = [name for name in columns if name not in read]
    if not rest:
        return []
    lines = [f"    # not read: {', '.join(map(_word, rest))}"]
    for name in rest:
        values = filled(look.frame[name])
        form = time_format(values, at_least=0.3) if len(values) else ""
        if form == "" or not (wrong := _misfit(values, form)):
            continue
        lines.append(f"    # {_word(name)} has times by {_named(form)}, but {wrong}")
    return lines


def _misfit(values: pd.Series, form: str | None) -> str:
    """What of a column is no time in its format, in words; empty where all of it is."""
    wrong = [text for text in values if not is_time(text, form)]
    return _counted(wrong, len(values), "no such time")


def _counted(wrong: list[str], n: int, what: str) -> str:
    if not wrong:
        return ""
    verb = "is" if len(wrong) == 1 else "are"
    return f"{len(wrong):,} of {n:,} {verb} {what}, such as {wrong[0][:40]!r}"


def _named(form: str | None) -> str:
    return "ISO 8601" if form is None else f'"{form}"'


def _customer(look: Look) -> str:
    if look.email is not None:
        other = f", otherwise: {_word(look.id)}" if look.id else ""
        return f"{{key: {_word(look.email)}{other}}}"
    if look.of is not None:
        return f"{{column: {_word(str(look.customer))}, of: {look.of}, unknown: keep}}"
    key = look.customer or look.id or "COLUMN"
    ask = "is it the key that all systems share?"
    if key == CASE:
        ask = "does a column name the customer of the case?"
    return f"{{key: {_word(key)}}}        # to decide: {ask}"


def _event(look: Look, column: str) -> list[str]:
    form = look.times[column]
    values = filled(look.frame[column])
    empty = len(look.frame) - len(values)
    name = f"{{column: {_word(str(look.kind))}}}" if look.kind else _touchpoint(look, column)
    why = "" if look.kind else "    # to decide: the name, from the customer's side"
    lines = [f"      - touchpoint: {name}{why}"]
    time = _word(column) if form is None else f'{{column: {_word(column)}, format: "{form}"}}'
    lines.append(f"        time: {time}")
    if form is not None and all(
        is_ambiguous(look.frame[name], other) for name, other in look.times.items() if other
    ):
        lines[-1] += "    # to decide: day or month first"
    wrong = _misfit(values, form)
    if wrong:
        lines[-1] += f"    # {wrong}"
    first = column == next(iter(look.times))
    # The first time is that of the row itself: where few lack it, an empty one is a mistake.
    if empty and not (first and len(values) > MOSTLY * len(look.frame)):
        lines.append("        optional: true")
    for said, value in look.when.items():
        lines.append(
            f"        when: {{{_word(said)}: {_word(value)}}}    # to decide: or its start?"
        )
    for name, said in look.fields.items():
        lines.append(f"        {name}: {{column: {_word(said)}}}")
    if first:
        lines += _measures(look)
    return lines


def _measures(look: Look) -> list[str]:
    lines = []
    if look.value is not None:
        values = filled(look.frame[look.value])
        wrong = [text for text in values if not are_numbers(pd.Series([text]), look.decimal)]
        said = _counted(wrong, len(values), "no number")
        ask = f"to decide: is it money?{' ' + said if said else ''}"
        lines.append(f"        value: {_word(look.value)}    # {ask}")
        if look.currency is not None:
            lines.append(f"        currency: {{column: {_word(look.currency)}}}")
    if look.score is not None:
        column, scale = look.score
        lines.append(f"        score: {{column: {_word(column)}, scale: {scale}}}")
    if look.text is not None:
        lines.append(
            f"        text: {_word(look.text)}    # to decide: does the customer write it?"
        )
    return lines


def _touchpoint(look: Look, column: str) -> str:
    thing = look.name.rsplit("_", 1)[-1]
    thing = thing[:-3] + "y" if thing.endswith("ies") else thing.removesuffix("s") or thing
    verb = re.sub(r"[^a-z0-9]+", "_", plain_name(column)).strip("_")
    verb = _MOMENT.sub("", verb).strip("_")
    if look.email is not None and look.id is not None and verb in (*_VAGUE, *_SIGNED_UP):
        return "signed_up"
    if verb in _VAGUE or verb == thing:
        return "placed_order" if thing == "order" else f"had_{thing}"
    return verb if thing in verb else f"{verb}_{thing}"


def _word(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
    taken = name.lower() in ("yes", "no", "true", "false", "on", "off", "null", "y", "n")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return name if plain and not taken else f'"{escaped}"'
