import json
import socket

import pytest

from cxlib import CxError
from cxlib.publish.server import find_dashboards, serve_dashboards


def test_no_store_is_said_before_anything_is_started(tmp_path):
    with pytest.raises(CxError, match=r"there is no store in .* run: cxlib build"):
        serve_dashboards(tmp_path)


def test_a_port_that_is_taken_is_said_in_one_line(demo_workspace, project):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CxError, match=rf"port {port} cannot be used .*--port"):
            serve_dashboards(demo_workspace, port=port, dashboards=project / "dashboards")


def test_the_dashboards_of_the_checkout_are_found_from_anywhere(tmp_path, monkeypatch, project):
    monkeypatch.chdir(tmp_path)
    assert find_dashboards() == project / "dashboards"


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(CxError, match="there are no dashboards"):
        find_dashboards(tmp_path)


@pytest.mark.parametrize("name", ["journeys", "retention"])
def test_a_dashboard_is_committed_without_outputs_and_says_what_it_is(project, name):
    notebook = json.loads((project / "dashboards" / f"{name}.ipynb").read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert code[0]["metadata"]["tags"] == ["parameters"]
    assert notebook["metadata"]["title"].endswith("?")
    assert set(notebook["metadata"]["cxlib"]) == {"summary", "audience"}


def test_templates_fetch_nothing_from_elsewhere(project):
    folder = project / "dashboards" / "jupyter"
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        assert "//cdn" not in path.read_text("utf-8"), path
        assert "https://" not in path.read_text("utf-8"), path
