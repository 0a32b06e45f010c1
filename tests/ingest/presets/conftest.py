"""Where the tables of vendors are."""

import pytest


@pytest.fixture(scope="session")
def seeds(shared):
    """Folder with a folder for each vendor."""
    return shared / "data" / "dbt_seeds"
