"""Fixtures that every test may use."""

import gc
import os
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from tests.built_once import built_once
from tests.sql import remembered_sql

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def key_of_pseudonyms():
    """One key for all workspaces of the tests, so that equal exports give equal stores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXLIB_KEY", "a key for tests that is no secret")
        yield


@pytest.fixture(scope="session", autouse=True)
def sql_of_ibis(request: pytest.FixtureRequest):
    """Ibis writes equal SQL once, for one thread, unless ``--all-sql`` says otherwise."""
    with nullcontext() if request.config.getoption("--all-sql") else remembered_sql():
        yield


@pytest.fixture(scope="session")
def project() -> Path:
    """Root of the checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of example data and cases that the project may use but not contain."""
    folder = Path(os.environ.get("CXLIB_SHARED", PROJECT.parent / "shared"))
    if not (folder / "cases").is_dir():
        pytest.skip("the folder of example data and cases is not here (set CXLIB_SHARED to it)")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=["duckdb", "spark"],
        default="duckdb",
        help="engine of the fixture con; on spark only the tests that use it run",
    )

    parser.addoption(
        "--all-sql",
        action="store_true",
        help="let Ibis write the SQL of each query, also where it wrote the same before, "
        "and DuckDB use all cores",
    )


def pytest_configure(config: pytest.Config) -> None:
    # A query takes a second on Spark: fewer examples, and a failing one is not made smaller.
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    settings.register_profile("spark", max_examples=2, phases=phases)
    if config.getoption("--engine") == "spark":
        settings.load_profile("spark")


def pytest_collection_finish() -> None:
    # What was imported stays: not to look for garbage in it saves a sixth of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--engine") == "duckdb":
        return
    on_engine = [item for item in items if "con" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in on_engine])
    items[:] = on_engine


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Name of the engine that the tests run on, once it is up."""
    name = request.config.getoption("--engine")
    if name == "duckdb":
        yield name
        return
    session = start_spark(tmp_path_factory.mktemp("spark"))
    yield name
    session.stop()


@pytest.fixture
def con(engine: str, monkeypatch: pytest.MonkeyPatch):
    """Connection to the engine of this run (``--engine``)."""
    from cxlib.engine.connect import connect

    connection = connect(f"{engine}://")
    if engine == "spark":
        # To store a table takes Spark a second; a view of the frame has the same rows.
        monkeypatch.setattr(connection, "create_table", partial(view_frame, connection))
    return connection


def start_spark(folder: Path):
    """Small local Spark, with the defaults of Spark 4 where they bear on results."""
    from pyspark.sql import SparkSession

    # Neither a Spark installed elsewhere nor a host name that nobody resolves is to be met.
    os.environ.pop("SPARK_HOME", None)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    settings = {
        "spark.master": os.environ.get("CXLIB_SPARK_MASTER", "local[2]"),
        "spark.ui.enabled": False,
        "spark.ui.showConsoleProgress": False,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.sql.warehouse.dir": folder / "warehouse",
        "spark.local.dir": folder / "scratch",
        # A handful of rows: one partition, nothing to broadcast, and no code made for them or
        # plan searched for, which would take longer than the query; nor does Java compile twice.
        "spark.default.parallelism": 1,
        "spark.sql.shuffle.partitions": 1,
        "spark.sql.autoBroadcastJoinThreshold": -1,
        "spark.sql.adaptive.enabled": False,
        "spark.sql.codegen.wholeStage": False,
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.constraintPropagation.enabled": False,
        "spark.sql.subexpressionElimination.enabled": False,
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    builder = SparkSession.builder.appName("cxlib tests")
    for name, value in settings.items():
        builder = builder.config(name, str(value))
    return builder.getOrCreate()


def view_frame(connection: Any, name: str, frame: Any):
    """Table of a frame on Spark, in one partition and not stored."""
    import ibis

    table = ibis.memtable(frame)
    connection._register_in_memory_table(table.op())
    connection._session.table(table.get_name()).coalesce(1).createOrReplaceTempView(name)
    return connection.table(name)


@pytest.fixture(scope="session", autouse=True)
def folder_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where folders are that all workers of a run share."""
    root = tmp_path_factory.getbasetemp()
    built_once.root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


@pytest.fixture(scope="session")
def demo_workspace(folder_of_the_run: None) -> Path:
    """Workspace of a demo company with 1,000 customers, simulated and built; not to be changed."""

    def make(folder: Path) -> None:
        from cxlib import build_store, simulate_company

        simulate_company(folder / "data" / "demo", customers=1_000, seed=7)
        build_store(folder / "data" / "demo")

    return built_once("demo", make) / "data" / "demo"
