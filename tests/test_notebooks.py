"""Notebooks run from a fresh kernel, on what the repository holds."""

import pytest


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("01_labels", ["60 documents: F1 0.9", "airstrike: "]),
        ("02_errors", ["held-out networks on 200 articles", "expected calibration error", "boundary"]),
        ("03_compare", ["200 documents", "beyond chance"]),
        ("04_tag_and_explore", ["5 articles, ", "events with a score of"]),
    ],
)
def test_a_notebook_runs(root, name, wanted, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    for variable in ("EVENTX_TEXTS", "EVENTX_FOLDER", "MODELS"):
        monkeypatch.delenv(variable, raising=False)
    notebook = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4)
    kept = [len(cell.get("outputs", ())) for cell in notebook.cells]
    client.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(root / "notebooks")}}).execute()
    printed = "".join(str(output.get("text", "")) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert all(words in printed for words in wanted)
    assert kept == [len(cell.get("outputs", ())) for cell in notebook.cells], "run it and keep its outputs"
