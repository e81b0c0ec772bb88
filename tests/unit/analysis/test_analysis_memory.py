"""Statistics in bounded memory: measured in a process of their own, with a control that is not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic_run import ROOT, metadata

from distsnn.io.rank_writer import RankWriter
from distsnn.io.run_writer import RunWriter

N_SPIKES = 5_000_000
N_STEPS = 100_000
SIZES = {"E": 1600, "I": 400}
CEILING = 60_000_000

# Windows of 2^17 spikes stand for the usual 2^20, as these spikes stand for a hundred times more.
MEASURE = r"""
import re, sys
from pathlib import Path
from distsnn.analysis import open_run
from distsnn.analysis.figure_data import summary_data
run = open_run(sys.argv[1], window=int(sys.argv[2]))
def peak():
    # Not getrusage: its peak is inherited from the process that started this one.
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
run.rates("I", 0, 10).compute()
run.correlations("I", 0, 20, neurons=[1601]).compute()
before = peak()
# Rates, intervals, population rates, histogram and spectrum in one pass; then correlations.
data = summary_data(run)
assert data.counts.sum() == 5_000_000, data.counts.sum()
print(peak() - before)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 5 million spikes on two ranks: every neuron at 250 spikes/s for 10 s."""
    path = tmp_path_factory.mktemp("large") / "run.zarr"
    n = sum(SIZES.values())
    RunWriter.create(path, metadata(SIZES, N_STEPS), ({}, {}), 2)
    per_step = N_SPIKES // N_STEPS
    for rank in range(2):
        with RankWriter(path, 0, rank, spike_chunk=2**15) as writer:
            for first in range(0, N_STEPS, 10_000):
                step = np.repeat(np.arange(first + 1, first + 10_001, dtype=np.int32), per_step)
                slot = np.tile(np.arange(per_step), 10_000)
                gid = slot * (n // per_step) + step * 7 % (n // per_step)
                mine = gid % 2 == rank
                writer.append_spikes(step[mine], gid[mine].astype(np.uint32))
                writer.mark_complete(first + 10_000)
    return path


def growth(path: Path, window: int) -> int:
    """Return by how many bytes the peak memory of a process grows that computes statistics."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(window)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.ci
def test_statistics_take_bounded_memory(large):
    assert growth(large, 2**17) < CEILING


@pytest.mark.ci
def test_loading_everything_would_exceed_it(large):
    """The control: the ceiling means something."""
    assert growth(large, 10**9) > 3 * CEILING
