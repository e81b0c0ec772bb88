"""The same spikes however the ranks were started: the command, mpiexec, or a Python program."""

import json
import sys
from pathlib import Path

import pytest
from command_jobs import Job, command, run

from distsnn.io.network_files import save_network
from distsnn.io.reader import StoreReader
from distsnn.network import Network

pytestmark = pytest.mark.timeout(300)

WORDS = ("run", "microcircuit", "--set", "scale=0.02", "--time", "60", "--seed", "3", "--quiet")

PROGRAM = """
import sys
from distsnn.examples import microcircuit
from distsnn.simulation import simulate

if __name__ == "__main__":
    summary = simulate(
        microcircuit.build(0.02), 60.0, out=sys.argv[1], seed=3, ranks=2, progress=False
    )
    print(summary.ranks, summary.spikes)
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alone") / "run.zarr"
    ended = run(*WORDS, "--out", path)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert StoreReader(path).n_spikes > 20
    return path


def assert_same(alone: Path, path: Path, ranks: int) -> None:
    numbers = [json.loads(output(command("info", one, "--json"))) for one in (alone, path)]
    assert [one["ranks"] for one in numbers] == [1, ranks]
    assert len(numbers[1]["peak_rss_bytes"]) == ranks
    for name in ("spike_hash", "spikes", "rates", "neurons", "synapses", "complete"):
        assert numbers[0][name] == numbers[1][name]


def output(words: list[str]) -> str:
    job = Job(words, None)
    ended = job.end()
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def test_command_starts_ranks(alone: Path, tmp_path: Path) -> None:
    ended = run(*WORDS, "--ranks", "2", "--out", tmp_path / "run.zarr")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert_same(alone, tmp_path / "run.zarr", 2)


@pytest.mark.ci
def test_command_uses_the_ranks_it_finds(alone: Path, tmp_path: Path) -> None:
    ended = run(*WORDS, "--ranks", "3", "--out", tmp_path / "run.zarr", ranks=3)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert_same(alone, tmp_path / "run.zarr", 3)


@pytest.mark.ci
def test_run_is_repeated_from_its_store(alone: Path, tmp_path: Path) -> None:
    ended = run("run", alone, "--ranks", "2", "--quiet", "--out", tmp_path / "run.zarr")
    assert (ended.code, ended.err) == (0, "")
    assert_same(alone, tmp_path / "run.zarr", 2)


@pytest.mark.ci
def test_stored_network_is_run(alone: Path, tmp_path: Path) -> None:
    save_network(tmp_path / "network", Network.from_dict(*StoreReader(alone).network()))
    words = ("run", tmp_path / "network", "--time", "60", "--seed", "3", "--quiet")
    ended = run(*words, "--out", tmp_path / "run.zarr", ranks=2)
    assert (ended.code, ended.err) == (0, "")
    assert_same(alone, tmp_path / "run.zarr", 2)


@pytest.mark.ci
def test_python_program_starts_ranks(alone: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    out = output([sys.executable, str(program), str(tmp_path / "run.zarr")])
    assert out == f"2 {StoreReader(alone).n_spikes}\n"
    assert_same(alone, tmp_path / "run.zarr", 2)
