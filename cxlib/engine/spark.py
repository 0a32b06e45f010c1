"""Spark: its session, and a connection that keeps what expressions say."""

from __future__ import annotations

import os
import shutil
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from cxlib.errors import CxError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend
    from ibis.expr.operations import InMemoryTable
    from pyspark.sql import SparkSession

__all__ = ["connect_spark"]


def connect_spark(master: str | None = None) -> BaseBackend:
    """Connection to the Spark session that runs, or else to a new one.

    Parameters
    ----------
    master
        Where a new session runs, in Spark's own words ("spark://host:7077", "local[4]"); None: as
        Spark is configured, which is on this machine where it is not. A session that runs already
        is taken as it is.

    Returns
    -------
    ibis.backends.BaseBackend
        Its session works in UTC. What is missing in a frame is null, also where pandas has NaN.

    Raises
    ------
    CxError
        When no session runs and this machine has no Java to start one.

    Examples
    --------
    >>> connect_spark().table("events")  # doctest: +SKIP
    """
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession() or _start_session(master)
    connection = _backend()()
    connection.do_connect(session)
    return connection


def _start_session(master: str | None) -> SparkSession:
    from pyspark.sql import SparkSession

    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise CxError(
            "Spark needs Java 17 or 21, and this machine has no 'java'; install it, or set "
            "JAVA_HOME to the folder where it is"
        )
    builder = SparkSession.builder.appName("cxlib")
    return (builder.master(master) if master else builder).getOrCreate()


def _as_objects(column: pa.ChunkedArray) -> bool:
    """Whether DuckDB's side of Ibis, too, makes objects of a column."""
    return bool(pa.types.is_nested(column.type) or column.null_count)


@cache
def _backend() -> type[BaseBackend]:
    from ibis import pyspark  # noqa: F401 - registers the options that its compiler reads
    from ibis.backends.duckdb.converter import DuckDBPandasData
    from ibis.backends.pyspark import Backend
    from ibis.backends.pyspark.datatypes import PySparkSchema, PySparkType
    from ibis.formats.pyarrow import PyArrowSchema

    class Spark(Backend):
        """Ibis on Spark, where frames and cached tables have the values and types they have."""

        def _register_in_memory_table(self, op: InMemoryTable) -> None:
            # Ibis sends rows of pandas, whose NaN Spark takes for a number and not for missing.
            rows = op.data.to_pyarrow(op.schema)
            frame = self._session.createDataFrame(rows, schema=PySparkSchema.from_ibis(op.schema))
            frame.createOrReplaceTempView(op.name)

        def _create_cached_table(self, name: str, expr: ir.Table) -> ir.Table:
            # Spark numbers rows and reads small literals in 32 bits. A cached table would tell
            # these types, and no longer fit the expressions that are united with it.
            self._run_pre_execute_hooks(expr)
            frame = self._session.sql(self.compile(expr))
            types = {column: PySparkType.from_ibis(t) for column, t in expr.schema().items()}
            frame = frame.select(*(frame[column].cast(t) for column, t in types.items())).cache()
            frame.createTempView(name)
            self._cached_dataframes[name] = frame
            return self.table(name)

        def execute(self, expr: ir.Expr, /, **options: Any) -> Any:
            # By way of pandas alone, as in Ibis, times are in nanoseconds, which end in 2262.
            self._run_pre_execute_hooks(expr)
            schema = expr.as_table().schema()
            rows = self._session.sql(self.compile(expr.as_table(), **options)).toArrow()
            rows = rows.cast(PyArrowSchema.from_ibis(schema))
            columns = {
                name: column.to_pylist() if _as_objects(column) else column.to_pandas()
                for name, column in zip(rows.column_names, rows.columns, strict=True)
            }
            frame = DuckDBPandasData.convert_table(pd.DataFrame(columns), schema)
            return expr.__pandas_result__(frame)

    return Spark
