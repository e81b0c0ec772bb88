"""The notebook runs from top to bottom on a run, in a kernel of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_run import ROOT

NOTEBOOK = ROOT / "docs" / "analysis.ipynb"

EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.mark.ci
def test_the_notebook_runs(written, tmp_path: Path):
    executed = tmp_path / "executed.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(NOTEBOOK), str(executed)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env=os.environ
        | {
            "DISTSNN_RUN": str(written.path),
            "PYTHONPATH": str(ROOT),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads(executed.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [o for o in outputs if o["output_type"] == "error"]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 5
    shown = " ".join("".join(o.get("data", {}).get("text/plain", "")) for o in outputs)
    assert "100 neurons, 2000 ms, complete" in shown
    assert "mean correlation of 4950 pairs" in shown


def test_the_notebook_is_kept_without_outputs():
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
