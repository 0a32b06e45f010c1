"""Fixtures that every test may use."""

import os
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


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


@pytest.fixture(params=["duckdb"])
def con(request: pytest.FixtureRequest):
    """Connection to each engine at hand."""
    from cxlib.engine.connect import connect

    return connect(f"{request.param}://")


@pytest.fixture(scope="session")
def demo_workspace(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Workspace of a demo company with 1,000 customers, simulated and built; not to be changed."""
    root = tmp_path_factory.getbasetemp()
    # All workers of a run share one company: the first to come builds it, the others wait.
    folder = (root if worker_id == "master" else root.parent) / "demo"
    try:
        folder.mkdir()
    except FileExistsError:
        for _ in range(600):
            if (folder / "ready").exists():
                return folder / "workspace"
            if (folder / "failed").exists():
                break
            time.sleep(0.5)
        pytest.fail("another worker could not build the demo company; its error says why")
    try:
        from cxlib import build_store, simulate_company

        simulate_company(folder / "workspace", customers=1_000, seed=7)
        build_store(folder / "workspace")
    except BaseException:
        (folder / "failed").touch()
        raise
    (folder / "ready").touch()
    return folder / "workspace"
