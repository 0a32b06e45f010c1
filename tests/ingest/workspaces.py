"""Small workspaces for tests of the way from exports to the store."""

from pathlib import Path
from textwrap import dedent

import pandas as pd

from cxlib.build import BuildResult, build_store

ORDERS = """
    name: shop
    sources:
      orders:
        file: orders.csv
        id: order_id
        customer: {key: account}
        events:
          - {touchpoint: placed_order, time: at, value: amount}
"""


def write(folder: Path, files: dict[str, str | bytes], sources: str = ORDERS) -> Path:
    """Write exports and their description; return the workspace."""
    (folder / "exports").mkdir(parents=True, exist_ok=True)
    (folder / "sources.yml").write_text(dedent(sources), encoding="utf-8")
    for name, content in files.items():
        data = content if isinstance(content, bytes) else dedent(content).encode()
        (folder / "exports" / name).write_bytes(data)
    return folder


def build(folder: Path, files: dict[str, str | bytes], sources: str = ORDERS) -> BuildResult:
    """Write a workspace and build it."""
    return build_store(write(folder, files, sources))


def rejects(result: BuildResult) -> list[tuple[int | None, str]]:
    """Row numbers and reasons of what could not be used."""
    frame = result.snapshot.table("rejects").to_pandas()
    return [
        (None if pd.isna(row.row_number) else int(row.row_number), row.reason)
        for row in frame.itertuples()
    ]
