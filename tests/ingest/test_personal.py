"""What is personal stands in the exports and in one table that only ``ingest`` opens."""

import ast
import re
import stat
from pathlib import Path

import duckdb
import pandas as pd

from cxlib.ingest.config import load_sources

OPENERS = {"read_personal", "with_personal", "rows_with_personal"}
LIKE_PERSONAL = re.compile(
    r"[\w.+-]+@[\w.-]+|\+?\(?\d[\d ()./-]{6,}\d|\d+ [A-Z][\w ]+|[\w ]+ \d+\b"
)
"""Addresses of e-mail, phone numbers and dates, streets with a number."""


def openers(source: str) -> set[str]:
    """Names by which a module opens the personal table."""
    nodes = list(ast.walk(ast.parse(source)))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {node.id for node in nodes if isinstance(node, ast.Name)}
    return used & OPENERS


def test_only_ingest_opens_the_personal_table(project):
    found = {
        path.relative_to(project / "cxlib").parts[0]
        for path in (project / "cxlib").rglob("*.py")
        if openers(path.read_text(encoding="utf-8"))
    }
    assert found == {"ingest"}
    assert openers("def f(staged):\n    return staged.rows_with_personal.count()") == {
        "rows_with_personal"
    }


def tables_of(path: Path) -> dict[str, str]:
    """Every text in a database or Parquet file, by table and column."""
    with duckdb.connect() as con:
        if path.suffix == ".parquet":
            con.execute(f"CREATE VIEW rows AS SELECT * FROM read_parquet('{path}')")
            names = ["rows"]
        else:
            con.execute(f"ATTACH '{path}' AS store (READ_ONLY)")
            con.execute("USE store")
            names = [row[0] for row in con.execute("SHOW TABLES").fetchall()]
        found = {}
        for name in names:
            for column, kind, *_ in con.execute(f'DESCRIBE "{name}"').fetchall():
                if kind in ("BIGINT", "INTEGER", "DOUBLE", "BOOLEAN", "TIMESTAMP"):
                    continue
                query = f'SELECT string_agg(DISTINCT "{column}"::VARCHAR, chr(10)) FROM "{name}"'
                found[f"{name}.{column}"] = con.execute(query).fetchone()[0] or ""
        return found


def values_of(workspace: Path) -> dict[str, set[str]]:
    """Values of the personal columns of the exports, by column; record ids are not personal."""
    config = load_sources(workspace / "sources.yml")
    found: dict[str, set[str]] = {}
    for rule in config.sources.values():
        frame = pd.read_csv(
            workspace / "exports" / rule.file,
            dtype=str,
            on_bad_lines="skip",
            encoding_errors="replace",
        )
        for column in frame.columns:
            if column.casefold() in config.hidden(rule):
                values = frame[column].dropna().str.strip().str.lower()
                values = values[(values.str.len() >= 7) & ~values.str.fullmatch(r"[bv]\d+")]
                found.setdefault(column, set()).update(values)
    return found


def test_no_personal_value_of_the_demo_company_stands_elsewhere(demo_workspace):
    telling = values_of(demo_workspace)
    assert {"email", "login", "requester_email", "phone", "street", "birth_date"} <= set(telling)
    values = {value for column in telling.values() for value in column}
    assert len(values) > 1_000
    looked_at = []
    for path in sorted((demo_workspace / "store").rglob("*")):
        if path.suffix not in (".parquet", ".duckdb") or path.parent.name == "personal":
            continue
        for column, text in tables_of(path).items():
            looked_at.append(f"{path.name}: {column}")
            lines = set(text.lower().split("\n"))
            assert values & lines == set(), f"{path.name}: {column}"
            tokens = {found.strip() for found in LIKE_PERSONAL.findall(text.lower())}
            assert values & tokens == set(), f"{path.name}: {column}"
    assert len(looked_at) > 100
    for path in (demo_workspace / "store").rglob("*.json"):
        assert not any(value in path.read_text(encoding="utf-8").lower() for value in values)


def test_the_personal_table_holds_what_is_compared_and_is_closed_to_others(demo_workspace):
    folder = demo_workspace / "store" / "personal"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    parts = list(folder.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in parts} == {0o600}
    told = " ".join(text for path in parts for text in tables_of(path).values()).lower()
    emails = pd.read_csv(demo_workspace / "exports/billing_customers.csv")["email"].dropna()
    assert sum(email.strip().lower() in told for email in emails) > 0.9 * len(emails)
    columns = {name.split(".")[1] for path in parts for name in tables_of(path)}
    assert columns <= {
        "cx_id_party", "cx_id_name", "cx_id_given_name", "cx_id_surname", "cx_id_email",
        "cx_id_phone", "cx_id_street", "cx_id_city", "cx_id_postcode", "cx_id_birth_date",
        "cx_text_0", "cx_text_1",
    }  # fmt: skip
