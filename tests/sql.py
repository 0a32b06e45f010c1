"""SQL that Ibis wrote before, for the tests: equal expressions have equal SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ibis.expr.operations as ops
import pytest
from ibis.backends.duckdb import Backend
from ibis.backends.sql.compilers.base import SQLGlotCompiler

Key = tuple[type, int, tuple[str, ...]]


@contextmanager
def remembered_sql() -> Iterator[None]:
    """Let Ibis write the SQL of an expression once, whatever the database that it is for.

    To write it takes a tenth of a second, and most of the time of the tests. A table is told from
    another by its name and its columns, so nothing is remembered of the rows; and only hashes of
    expressions are, so that no connection stays open. Equal hashes of -1 and -2 are told apart by
    the literals.
    """
    write = SQLGlotCompiler.translate
    written: dict[Key, Any] = {}

    def translate(self: SQLGlotCompiler, op: ops.Node, *, params: Mapping[Any, Any]) -> Any:
        if params:
            return write(self, op, params=params)
        literals = tuple(repr(literal.value) for literal in op.find(ops.Literal))
        key = (type(self), hash(op), literals)
        if key not in written:
            written[key] = write(self, op, params=params)
        return written[key].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLGlotCompiler, "translate", translate)
        patch.setattr(Backend, "db_identity", "duckdb", raising=False)
        yield
