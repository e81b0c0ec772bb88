"""The programs in the documents do what the documents say."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_jobs import ROOT, Job

from distsnn.network import Network, Population, RecordSpikes, RecordState, SpikeInput, registry
from distsnn.simulation import Simulation, simulate

NAMES = ("README.md", "docs/adding-a-model.md", "docs/coding.md", "docs/closed-loops.md")
DOCUMENTS = {name: ROOT / name for name in NAMES}

pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in DOCUMENTS.values()),
    reason="the documents are in the repository, not in the installed package",
)


def programs(name: str) -> list[str]:
    text = DOCUMENTS[name].read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.+?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.ci
def test_program_of_the_readme_prints_rates_and_irregularity(tmp_path: Path) -> None:
    pytest.importorskip("dask", reason="the README's program needs the extra `analysis`")
    (text,) = programs("README.md")
    program = tmp_path / "program.py"
    # a tenth of the size is enough
    for whole, part in (("8000", "800"), ("2000", "200"), ("(800)", "(80)"), ("(200)", "(20)")):
        assert whole in text
        text = text.replace(whole, part)
    program.write_text(text)
    job = Job([sys.executable, str(program)], tmp_path)
    ended = job.end()
    assert ended.code == 0, ended.err
    rates, cv = ended.out.splitlines()
    assert re.fullmatch(r"\{'E': [\d.]+, 'I': [\d.]+\}", rates)
    assert 0.1 < float(cv) < 1.5


@pytest.mark.ci
def test_coding_page_example_separates_classes(tmp_path: Path) -> None:
    pytest.importorskip("dask", reason="the page's program needs the extra `analysis`")
    (text,) = programs("docs/coding.md")
    program = tmp_path / "program.py"
    program.write_text(text)
    ended = Job([sys.executable, str(program)], tmp_path).end()
    assert ended.code == 0, ended.err
    # as the page says, but for numpy's random numbers, which may change
    (said,) = re.findall(r"print\(.+# ([\d.]+);", text)
    assert abs(float(ended.out) - float(said)) < 0.1


def test_programs_of_closed_loops_run_and_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loop, recordings, trials, saving = programs("docs/closed-loops.md")
    known: dict[str, object] = {}
    exec(loop, known)
    assert known["position"] != 0.0
    with Simulation(known["network"]) as simulation:
        trial: dict[str, Any] = {"simulation": simulation}
        exec(trials, trial)
        assert (len(trial["counts"]), simulation.time_ms) == (10, 0.0)
    with Simulation(known["network"], out="run.zarr") as simulation:
        simulation.run(3.0)
        exec(recordings, {"simulation": simulation})
        assert dict(simulation["motors"].record) == {"spikes": True}
        exec(saving, known | {"simulation": simulation, "iteration": 1000, "rank": 0})
    with Simulation.restore("run.zarr", out="run.zarr") as simulation:
        saved = np.load(f"loop_{simulation.time_ms:g}.npz")
    assert saved["position"] == known["position"]


@pytest.fixture
def model_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write the document's model as a user would, and a network of it."""
    (model,) = programs("docs/adding-a-model.md")
    path = tmp_path / "quadratic.py"
    path.write_text(
        f"from distsnn.network import *\n{model}\n\n"
        "def build():\n"
        "    cells = Population('Q', 70, Quadratic(I_e=1.0), {'V_m': Normal(-20.0, 5.0)})\n"
        "    return Network([cells], recordings=[RecordSpikes(cells)])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("quadratic", None)
    registry._MODELS.pop("quadratic", None)


def test_model_of_the_document_does_what_its_equation_says(model_file: Path) -> None:
    quadratic = importlib.import_module("quadratic").Quadratic(a=0.02, I_e=0.8, substeps=1)
    cells = Population("Q", 3, quadratic, {"V_m": [-10.0, 0.0, 5.0]}, precision="float64")
    kick = SpikeInput(cells, [3.0, 3.0], [0, 2], [4.0, -2.5])
    path = model_file.parent / "run.zarr"
    network = Network([cells], [], [kick], [RecordSpikes(cells), RecordState(cells, "V_m")])
    simulate(network, 80.0, out=path, progress=False)

    v = np.array([-10.0, 0.0, 5.0])
    states, spikes = [], []

    def slope(v: np.ndarray) -> np.ndarray:
        return 0.02 * v * v + 0.8

    for k in range(800):
        first, second = slope(v), slope(v + 0.05 * slope(v))
        third = slope(v + 0.05 * second)
        v = v + 0.1 / 6.0 * (first + 2.0 * second + 2.0 * third + slope(v + 0.1 * third))
        if k + 1 == 30:
            v += [4.0, 0.0, -2.5]
        spiked = v >= 30.0
        spikes += [(k + 1, gid) for gid in np.flatnonzero(spiked)]
        v = np.where(spiked, -30.0, v)
        states.append(v)
    reader = importlib.import_module("distsnn.io.reader").StoreReader(path)
    step, gid = reader.spikes()
    assert len(spikes) >= 3
    assert list(zip(step, gid, strict=True)) == spikes
    # the weights are on a grid of 2^-20, and a trajectory past its threshold is steep
    recorded = reader.state("Q").variables["V_m"].load(0, 800)
    np.testing.assert_allclose(recorded[:100], states[:100], rtol=1e-5, atol=1e-5)


@pytest.mark.ci
def test_ranks_that_a_program_starts_know_its_models(model_file: Path) -> None:
    program = model_file.parent / "program.py"
    program.write_text(
        "import sys\nfrom quadratic import build\nfrom distsnn.simulation import simulate\n"
        "if __name__ == '__main__':\n"
        "    ranks = int(sys.argv[1])\n"
        "    print(simulate(build(), 60.0, ranks=ranks, progress=False).spikes)\n"
    )
    counts = [Job([sys.executable, str(program), ranks], None).end() for ranks in ("1", "2")]
    assert [one.code for one in counts] == [0, 0], counts[1].err
    assert int(counts[0].out) == int(counts[1].out) > 70


@pytest.mark.ci
def test_ranks_know_the_models_of_the_program_itself(model_file: Path) -> None:
    program = model_file.parent / "whole.py"
    program.write_text(
        model_file.read_text() + "\nfrom distsnn.simulation import simulate\n"
        "if __name__ == '__main__':\n"
        "    print(simulate(build(), 60.0, ranks=2, progress=False).spikes)\n"
    )
    ended = Job([sys.executable, str(program)], None).end()
    assert ended.code == 0, ended.err
    assert int(ended.out) > 70


@pytest.mark.ci
def test_edit_of_a_users_equations_is_noticed(model_file: Path) -> None:
    # although the machine code is in the cache
    words = [sys.executable, "-m", "distsnn", "run", str(model_file), "--time", "60"]

    def spikes() -> str:
        ended = Job(words, None).end()
        assert ended.code == 0, ended.err
        return re.search(r"([\d,]+) spikes", ended.out)[1]

    first = spikes()
    assert spikes() == first
    model_file.write_text(model_file.read_text().replace("+ I_e : mV", "+ 2*I_e : mV"))
    assert spikes() != first
