"""The network of Auryn's benchmark is active here, and what Auryn's program tells is counted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from distsnn import Simulation
from distsnn.tools.models import load_model

# Stands in for the real one: at each whole second both ranks see a spike of E, and rank 0 one of I.
PROGRAM = """#!{python}
import argparse
from pathlib import Path

options = argparse.ArgumentParser()
options.add_argument("--dir", type=Path)
options.add_argument("--simtime", type=float)
options.add_argument("--fast", action="store_true")
options = options.parse_args()
lines = "".join(f"{{second}}.000000  7\\n" for second in range(1, int(options.simtime) + 1))
if not options.fast:
    for name in ("0.e", "1.e", "0.i"):
        (options.dir / f"coba.{{name}}.ras").write_text(lines)
"""


def run(benchmarks: Path, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(benchmarks / "peers" / "auryn_coba.py"), *arguments],
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_network_keeps_active_by_its_current_alone(benchmarks: Path) -> None:
    network = load_model(str(benchmarks / "networks" / "vogels_abbott.py"), []).network
    with Simulation(network, seed=1) as simulation:
        simulation.run(200.0)
        before = simulation.counters()
        simulation.run(800.0)
        after = simulation.counters()
    # Auryn's program: 17.1 and 17.3 spikes/s, where wirings alone make 14 to 19 of it
    for population in network.populations:
        spikes = after.spikes[population.name] - before.spikes[population.name]
        assert spikes / population.size / 0.8 == pytest.approx(17.2, abs=2.0)


def test_spikes_in_auryns_files_are_counted_after_the_warmup(
    benchmarks: Path, tmp_path: Path
) -> None:
    program = tmp_path / "sim_coba_benchmark"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    times = ("--time", "3000", "--warmup", "2000")
    done = run(benchmarks, tmp_path, *times)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rates"] == {"E": round(2 / 3200, 4), "I": round(1 / 800, 4)}
    assert (found["neurons"], found["threads"], found["recording"]) == (4000, 1, "files")
    bare = json.loads(run(benchmarks, tmp_path, *times, "--recording", "none").stdout)
    assert (bare["rates"], bare["recording"]) == ({}, "none")


def test_output_of_the_failing_program_is_reported(benchmarks: Path, tmp_path: Path) -> None:
    program = tmp_path / "sim_coba_benchmark"
    program.write_text(f"#!{sys.executable}\nraise SystemExit('no room')\n")
    program.chmod(0o755)
    done = run(benchmarks, tmp_path)
    assert done.returncode == 1
    assert "exit code 1" in done.stderr and "no room" in done.stderr


def test_without_auryn_its_script_says_where_it_is_from(benchmarks: Path, tmp_path: Path) -> None:
    done = run(benchmarks, tmp_path)
    assert done.returncode == 1
    assert "not on PATH" in done.stderr and "github.com/fzenke/auryn" in done.stderr
