"""Fixtures that every test may use."""

import os
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
