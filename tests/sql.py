"""SQL that Ibis wrote before, for the tests: equal expressions have equal SQL."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ibis.expr.operations as ops
import ibis.expr.types as ir
import pytest
from ibis.backends.duckdb import Backend
from ibis.backends.sql.compilers.base import SQLGlotCompiler
from ibis.backends.sql.datatypes import DuckDBType

_OF_ONE_CONNECTION = (
    ops.InMemoryTable,
    ops.ScalarUDF,
    ops.AggUDF,
    ops.GeoSpatialUnOp,
    ops.GeoSpatialBinOp,
)
"""What a connection must be prepared for, before it can run an expression that holds it."""


@contextmanager
def remembered_sql() -> Iterator[None]:
    """Let Ibis write the SQL of an expression once, whatever the database that it is for.

    To write it takes a tenth of a second, and most of the time of the tests. A table is told from
    another by its name and its columns, so nothing is remembered of the rows; and of expressions
    only their hashes are, so that no connection stays open. DuckDB works with one thread.
    """
    translate, compile_text = SQLGlotCompiler.translate, Backend.compile
    prepare, begin = Backend._run_pre_execute_hooks, ops.Literal.__init__
    cache, connect = Backend._create_cached_table, Backend.do_connect
    trees: dict[tuple[type, int], Any] = {}
    texts: dict[int, str] = {}
    plain: dict[int, bool] = {}

    def remembered_tree(self: SQLGlotCompiler, op: ops.Node, *, params: Mapping[Any, Any]) -> Any:
        if params:
            return translate(self, op, params=params)
        key = (type(self), hash(op))
        if key not in trees:
            trees[key] = translate(self, op, params=params)
        return trees[key].copy()

    def remembered_text(self: Backend, expr: ir.Expr, /, **options: Any) -> str:
        if any(options.values()):
            return compile_text(self, expr, **options)
        key = hash(expr.as_table().op())
        if key not in texts:
            texts[key] = compile_text(self, expr)
        return texts[key]

    def prepare_if_needed(self: Backend, expr: ir.Expr) -> None:
        op = expr.op()
        if (key := hash(op)) not in plain:
            plain[key] = not op.find(_OF_ONE_CONNECTION)
        if not plain[key] or self._record_batch_readers_consumed:
            prepare(self, expr)

    def cache_by_hash(self: Backend, name: str, expr: ir.Table) -> ir.Table:
        # A random name would make new expressions of all that start from the table.
        return cache(self, f"ibis_cached_{hash(expr.op()) % 2**64:x}", expr)

    def with_own_hash(self: ops.Literal, **arguments: Any) -> None:
        # In Python -1 and -2 have one hash; their texts have two.
        begin(self, **arguments)
        told = hash((type(self), repr(self.value), self.dtype))
        object.__setattr__(self, "__precomputed_hash__", told)

    def connect_with_one_thread(self: Backend, *args: Any, **options: Any) -> None:
        connect(self, *args, **options)
        # For a handful of rows a second one has nothing to do, and is woken for each query.
        self.con.execute("SET threads = 1")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backend, "do_connect", connect_with_one_thread)
        patch.setattr(DuckDBType, "from_string", functools.cache(DuckDBType.from_string))
        patch.setattr(SQLGlotCompiler, "translate", remembered_tree)
        patch.setattr(Backend, "compile", remembered_text)
        patch.setattr(Backend, "_run_pre_execute_hooks", prepare_if_needed)
        patch.setattr(Backend, "_create_cached_table", cache_by_hash)
        patch.setattr(ops.Literal, "__init__", with_own_hash)
        # One hash for the tables of every connection; which of them is which is still told.
        patch.setattr(Backend, "__hash__", lambda _: hash("duckdb"))
        yield
