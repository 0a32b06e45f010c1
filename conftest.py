"""Examples in docstrings that name ``data/demo`` run on the demo company."""

from pathlib import Path

import pytest

from tests.conftest import demo_workspace, folder_of_the_run

__all__ = ["demo_workspace", "folder_of_the_run"]


@pytest.fixture(autouse=True)
def demo_folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folder that an example runs in, where it reads ``data/demo``."""
    test = getattr(request.node, "dtest", None)
    if test is None or not any("data/demo" in example.source for example in test.examples):
        return
    workspace: Path = request.getfixturevalue("demo_workspace")
    monkeypatch.chdir(workspace.parents[1])
