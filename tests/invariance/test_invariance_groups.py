"""The same spikes in groups of ranks, which exchange them at two levels, as on one rank."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from command_jobs import run_program
from recorded import assert_same, newest_checkpoint, recorded

sys.path.insert(0, str(Path(__file__).parent / "programs"))

import in_groups
from invariance_counts import connections, received

from distsnn.cli import main
from distsnn.io.reader import StoreReader
from distsnn.network.blocks import make_blocks

# Its kernels take long to compile, and four ranks share two cores.
pytestmark = [pytest.mark.timeout(600), pytest.mark.ci]


def simulated(path: Path, *parts: tuple[int, str, list[int]], storage: str = "auto") -> StoreReader:
    for ranks, part, groups in parts:
        run_program(in_groups.__file__, ranks, path, part, json.dumps(groups), storage)
    return StoreReader(path)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("groups") / "alone.zarr"
    reader = simulated(path, (1, "whole", []))
    # histories of 16 spikes were full, those of 64 steps in which potentials act all the more
    _, gid = reader.spikes()
    assert np.bincount(gid)[:400].min() > 30
    assert np.bincount(gid)[400:].min() > 5
    return path


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("groups") / "four.zarr", (4, "whole", [2, 2])).path


def assert_same_runs(path: Path, other: Path) -> None:
    assert StoreReader(other).complete
    assert_same(recorded(path), recorded(other))
    assert (
        newest_checkpoint(path).attributes["digest"]
        == newest_checkpoint(other).attributes["digest"]
    )


def test_same_in_groups_of_two(alone: Path, four: Path) -> None:
    assert_same_runs(alone, four)


def test_same_where_synapses_are_drawn_when_they_are_needed(alone: Path, tmp_path: Path) -> None:
    # delays are not counted then: bounds of them make the epochs
    reader = simulated(tmp_path / "p.zarr", (3, "whole", [2, 1]), storage="procedural")
    settings = reader.metadata["settings"]
    assert (settings["group_epoch_steps"], settings["epoch_steps"]) == (1, 25)
    assert_same_runs(alone, reader.path)


@pytest.mark.parametrize(
    "parts",
    [
        [(3, "begin", [2, 1]), (2, "resume", [])],
        [(2, "begin", []), (4, "resume", [1, 3])],
    ],
)
def test_resume_with_or_without_groups_gives_the_same_run(
    alone: Path, tmp_path: Path, parts: list[tuple[int, str, list[int]]]
) -> None:
    other = simulated(tmp_path / "other.zarr", *parts)
    assert [len(one.ranks) for one in other.attempts] == [ranks for ranks, _, _ in parts]
    assert [one.assignment["groups"] for one in other.attempts] == [one for _, _, one in parts]
    assert_same_runs(alone, other.path)


def test_exchanges_and_bytes_at_both_levels_are_those_predicted(
    four: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reader = StoreReader(four)
    network = in_groups.network()
    made = in_groups.in_groups(network, [2, 2])
    # 0.1 ms inside; the modulator's spikes are felt after 2.5 ms, sooner than those of the others
    inside, between = 1, round(in_groups.MODULATION_MS / network.dt)
    settings = reader.metadata["settings"]
    assert (settings["group_epoch_steps"], settings["epoch_steps"]) == (inside, between)
    step, gid = reader.spikes()
    owner = np.repeat(made.owner, make_blocks(network).size)[gid]
    sent = np.zeros((reader.complete_step // between, 4), np.int64)
    np.add.at(sent, ((step - 1) // between, owner), 1)
    sent_inside = np.zeros((reader.complete_step, 4), np.int64)
    np.add.at(sent_inside, (step - 1, owner), 1)
    for rank, one in enumerate(reader.attempts[0].ranks):
        mates = slice(0, 2) if rank < 2 else slice(2, 4)
        counted = one.counters
        assert (counted["exchanges"], counted["group_exchanges"]) == (len(sent), len(sent_inside))
        others = sent.sum() - sent[:, rank].sum()
        assert counted["received_spikes"] == others
        of_group = sent[:, mates].sum() - sent[:, rank].sum()
        assert counted["group_received_spikes"] == of_group
        assert counted["received_bytes"] == received(sent, 1 + between) + received(
            sent_inside[:, mates], 1 + inside
        )
    assert main(["partition", str(four), "--json", "--strategy", "round_robin"]) == 0
    counted, same, other = json.loads(capfd.readouterr().out)
    assert [one["groups"] for one in (counted, same, other)] == [[2, 2], [2, 2], []]
    for one in (counted, same):
        assert (one["epoch_ms"], one["group_epoch_ms"]) == (2.5, 0.1)
        assert one["group_exchanges_per_s"] == pytest.approx(10_000.0)
    assert counted["exchanges_per_s"] == pytest.approx(len(sent) / 0.16)
    assert same["exchanges_per_s"] == pytest.approx(400.0)
    assert (other["epoch_ms"], other["group_epoch_ms"]) == (0.1, 0.0)
    assert counted["bytes_per_s"] == pytest.approx(same["bytes_per_s"], rel=0.1)


def test_ranks_in_groups_count_what_was_wired_and_spiked(alone: Path, four: Path) -> None:
    counted = [one.counters for one in StoreReader(four).attempts[0].ranks]
    for count, known in zip(counted, connections(alone, four), strict=True):
        assert {name: count[name] for name in known} == known
    # groups are 3 ms apart, and hear each other
    delay, heard = (
        np.array([one[name] for one in counted]) for name in ("min_delay", "spikes_from_rank")
    )
    far = np.arange(4)[:, np.newaxis] // 2 != np.arange(4) // 2
    assert (delay[far].min(), delay[~far].min()) == (30, 1)
    assert np.all(heard[far] > 0)
