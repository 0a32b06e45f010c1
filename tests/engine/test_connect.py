import re
import sys
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest

from cxlib.engine.connect import connect
from cxlib.errors import CxError


def test_an_engine_that_is_not_installed_is_named_without_the_rest_of_its_url():
    with pytest.raises(CxError, match="cannot open the engine 'nosuch'") as error:
        connect("nosuch://me:secret@host/db")
    assert "secret" not in str(error.value)


def test_spark_without_java_says_what_to_install(monkeypatch):
    no_session = SimpleNamespace(getActiveSession=lambda: None)
    monkeypatch.setitem(sys.modules, "pyspark", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "pyspark.sql", SimpleNamespace(SparkSession=no_session))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CxError, match="Spark needs Java 17 or 21, and this machine has no 'java'"):
        connect("spark://")


def test_what_is_missing_in_a_frame_is_null_on_each_engine(con):
    at = pd.to_datetime(["2024-01-01T10:00:00.123456", None]).astype("datetime64[us]")
    frame = pd.DataFrame({"number": [1.5, np.nan], "text": ["x", None], "at": at})
    table = ibis.memtable(frame)
    counted = table.aggregate(
        **{name: table[name].count() for name in frame}, sum=table.number.sum()
    )
    assert con.execute(counted).iloc[0].tolist() == [1, 1, 1, 1.5]
    assert con.execute(table.at.max()).isoformat() == "2024-01-01T10:00:00.123456"


def test_a_result_has_the_same_types_on_each_engine(con):
    at = np.array(["2024-01-01T10:00", "2500-01-01T00:00"], dtype="datetime64[us]")
    frame = pd.DataFrame({"n": [1, 2], "at": at, "text": ["x", None], "yes": [True, False]})
    table = ibis.memtable(frame).mutate(one=ibis.literal(1), row=ibis.row_number())
    types = con.execute(table.mutate(path=ibis.array([table.text]))).dtypes.astype(str).to_dict()
    assert types == {
        **{"n": "int64", "at": "datetime64[us]", "text": "object", "yes": "bool"},
        **{"one": "int8", "row": "int64", "path": "object"},
    }


def test_a_frame_without_rows_has_its_types_on_each_engine(con):
    empty = ibis.memtable([], schema={"path": "array<string>", "n": "int64"})
    assert con.execute(empty.n.count()) == 0


def test_a_cached_table_has_the_types_of_its_expression_on_each_engine(con):
    table = con.create_table("three", pd.DataFrame({"n": [1, 2, 3]}))
    numbered = table.mutate(row=ibis.row_number().over(ibis.window(order_by="n")), one=1)
    cached = numbered.cache()
    assert cached.schema() == numbered.schema()
    assert cached.union(numbered).count().to_pandas() == 6


def test_the_python_of_the_page_on_engines_runs(con, project):
    if con.name != "pyspark":
        pytest.skip("the page is on Spark: make test-spark")
    days = ["2024-01-01", "2024-01-02", "2024-01-02"]
    events = {
        "event_id": ["1", "2", "3"],
        "customer_id": ["a", "a", "b"],
        "touchpoint": ["visited_pricing", "signed_up", "visited_pricing"],
        "occurred_at": np.array(days, dtype="datetime64[us]"),
    }
    con.create_table("events", pd.DataFrame(events))
    page = (project / "docs" / "engines.md").read_text("utf-8")
    (example,) = re.findall("^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (*calls, last) = example.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join([*calls, f"answer = {last}"]), names)
    assert names["answer"]["reached"].tolist() == [2, 1]
