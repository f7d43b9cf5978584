"""Notebooks run from a fresh kernel, on what the repository holds."""

import pytest


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["errors.ipynb"])
def test_a_notebook_runs(root, name, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    monkeypatch.delenv("EVENTX_TEXTS", raising=False)
    notebook = nbformat.read(root / "notebooks" / name, as_version=4)
    client.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(root / "notebooks")}}).execute()
    printed = "".join(str(output.get("text", "")) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "on 5 articles, 89 mentions" in printed
    assert "expected calibration error" in printed
