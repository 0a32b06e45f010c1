"""The page docs/presets.md, made of the presets: ``python -m cxlib.ingest.presets.page``."""

from __future__ import annotations

from cxlib.ingest.fields import EventRule, FieldColumn
from cxlib.ingest.presets.expansion import expand_presets
from cxlib.ingest.presets.library import Preset, load_preset, preset_names

__all__ = ["presets_page"]

_HEAD = """\
# Presets: the exports of known vendors

A preset says what the tables of a vendor mean. The names of columns are those of connectors that
land a vendor's data in a warehouse (snake_case, as Fivetran has them). This page is made of the
presets themselves, in `cxlib/ingest/presets`: `python -m cxlib.ingest.presets.page`.

```yaml
name: Shop
sources:
  billing:
    preset: stripe
    folder: stripe                # in the exports folder; default: the exports folder itself
    files: "{table}_2024.csv"     # default: the names that a table's file usually has
    without: [dispute]            # or only: [customer, invoice]
    tables:
      customer:                   # a word here takes the place of the preset's …
        attributes: [address_country]
        add_attributes: [currency]
      charge:
        file: payments-*.csv
        add_events:               # … and these are added to what the preset gives
          - {touchpoint: was_reviewed, time: created, when: {outcome_type: manual_review}}
```

Each table becomes a source, here `billing_customer`, `billing_invoice` and so on, which other
sources may refer to (`of: billing_customer`). A table whose file is not there is left out, and a
column that one version of an export lacks is empty; whatever is there is found whatever its case.
Whom a row names and no customer table knows is a customer too (`billing_customer:cus_17`). People
in different vendors are one customer where their e-mail addresses are equal. Personal columns are
marked in the preset.

Where a connector has landed the tables in a warehouse, the preset reads them there, and leaves out
those that the schema lacks. A table to which `identity:` is added is linked by the model, too
([identity](identity.md)):

```yaml
  billing:
    preset: stripe
    database: ${WAREHOUSE_DSN}    # any database of docs/ingest.md
    schema: stripe                # default: none
    tables:
      customer: {identity: {name: name, email: email, phone: phone}}
```

In Qualtrics, for one, only you know which question asks what:

```yaml
  survey:
    preset: qualtrics
    tables:
      question_response:
        events:
          - {touchpoint: told_how_likely_to_recommend, time: recorded_date,
             when: {question_id: QID7}, score: {column: value, scale: nps}}
          - {touchpoint: wrote_comment, time: recorded_date, when: {question_id: QID8}, text: text}
```

Where a vendor sells subscriptions, the preset knows which touchpoints start and end one:

```python
import cxlib as cx

cx.load_preset("stripe").spells  # start: [started_subscription], end: [ended_subscription]
# log = cx.load_journeys(cx.open_store("data/shop"))
# cx.spells(log, **cx.load_preset("stripe").spells, window_start=None)
```
"""


def presets_page() -> str:
    """Text of the page, in Markdown.

    Examples
    --------
    >>> presets_page().splitlines()[0]
    '# Presets: the exports of known vendors'
    """
    return "\n".join([_HEAD, *(_section(name, load_preset(name)) for name in preset_names())])


def _section(name: str, preset: Preset) -> str:
    sources = expand_presets({"v": {"preset": name}}, None)
    lines = [f"## {preset.vendor}", "", f"`preset: {name}`: {preset.about}.", ""]
    lines += ["| table | what it holds | customer | touchpoints | facts |", "|---|---|---|---|---|"]
    for table, item in preset.tables.items():
        rules = sources.get(f"v_{table}", {**item.rules, "file": table})
        events = [EventRule.model_validate(rule) for rule in rules.get("events", ())]
        touchpoints = dict.fromkeys(name for rule in events for name in _touchpoints(rule))
        named = ", ".join(f"`{point}`" for point in touchpoints)
        facts = ", ".join(_fact(fact) for fact in rules.get("attributes", ()))
        cells = [f"`{table}`", item.about, _customer(item.rules["customer"]), named, facts]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| touchpoint | what it means |", "|---|---|"]
    lines += [f"| `{point}` | {meaning} |" for point, meaning in preset.touchpoints.items()]
    if preset.subscriptions is not None:
        start, end = (
            ", ".join(f"`{name}`" for name in preset.spells[kind]) for kind in ("start", "end")
        )
        lines += ["", f"Spells start with {start} and end with {end}."]
    return "\n".join([*lines, ""])


def _touchpoints(rule: EventRule) -> list[str]:
    if not isinstance(rule.touchpoint, FieldColumn):
        return [rule.touchpoint]
    closed = rule.touchpoint.other == "reject" or rule.touchpoint.column in rule.when
    return [*rule.touchpoint.map.values(), *([] if closed else ["(any)"])]


def _customer(who: dict[str, str]) -> str:
    if "key" in who:
        said = f"`{who['key']}`"
        return f"{said}, else `{who['otherwise']}`" if "otherwise" in who else said
    return f"`{who['column']}` of `{who['of']}`"


def _fact(fact: str | dict[str, str]) -> str:
    return f"`{fact}`" if isinstance(fact, str) else f"`{fact.get('name', fact['column'])}`"


if __name__ == "__main__":
    print(presets_page(), end="")
