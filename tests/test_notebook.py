"""The notebook of the documentation runs from top to bottom, with fewer steps."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.slow
NOTEBOOK = REPOSITORY / "docs" / "tour.ipynb"


def test_the_tour_runs_from_top_to_bottom(tmp_path, monkeypatch):
    if not find_spec("nbclient") or not find_spec("ipykernel"):
        pytest.skip("needs nbclient and ipykernel: pip install 'jaxgan[docs]'")
    import nbclient
    import nbformat

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("steps = 1500", "steps = 20").replace("range(3000)", "range(300)")
    assert sum("steps = 20" in cell.source for cell in notebook.cells) == 1
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    client = nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # raises what a cell raises
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()) if "text" in output
    )
    assert "other real faces:" in printed
    assert (Path(tmp_path) / "faces.safetensors").is_file()


def test_the_notebook_is_kept_without_outputs():
    import json

    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not [cell for cell in cells if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"])]
