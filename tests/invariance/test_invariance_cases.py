"""The same spikes and states, byte for byte, on any number of ranks and in any way of storing."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import invariance_equation_cases  # noqa: F401 (adds its cases)
import invariance_neuron_cases  # noqa: F401 (adds its case)
import invariance_partition_cases  # noqa: F401 (adds its cases)
import invariance_synapse_cases  # noqa: F401 (adds its cases)
import numpy as np
import pytest
from invariance_cases import CASES
from invariance_counts import expected, is_told
from invariance_runs import Runs
from invariance_ways import CHAIN, CHAINED, REFERENCE, WAYS
from recorded import assert_same, recorded

from distsnn.cli import main
from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import Generation
from distsnn.io.reader import StoreReader

# Compiling anew beside other work can take minutes.
pytestmark = pytest.mark.timeout(600)

RANKS = {way: ranks for ranks, ways in WAYS.items() for way in ways}


@cache
def reference(path: Path) -> dict[str, np.ndarray]:
    return recorded(path)


@cache
def reference_hash(path: Path) -> str:
    return StoreReader(path).spike_hash()


@pytest.mark.parametrize("case", CASES)
def test_reference_is_active(runs: Callable, case: str) -> None:
    path = runs(1).path(REFERENCE, case)
    found = reference(path)
    n_neurons = StoreReader(path).n_neurons
    assert found["spikes gid"].size > min(150, 2 * n_neurons)
    assert np.unique(found["spikes gid"]).size > 0.05 * n_neurons
    states = [name for name in found if name.split(" ")[0] != "spikes"]
    assert all(np.isfinite(found[name]).all() for name in states)


@pytest.mark.parametrize("way", [way for way in RANKS if way != REFERENCE])
@pytest.mark.parametrize("case", CASES)
def test_same_recordings(runs: Callable, case: str, way: str) -> None:
    first = runs(1).path(REFERENCE, case)
    path = runs(RANKS[way]).path(way, case)
    reader = StoreReader(path)
    assert reader.complete
    assert len(reader.attempts[0].ranks) == RANKS[way]
    assert_same(reference(first), recorded(path))
    assert reader.spike_hash() == reference_hash(first)


def test_some_ranks_had_no_neurons_and_others_did(runs: Callable) -> None:
    blocks = runs(7).counted("seven")["fewer_blocks_than_ranks"]["blocks"]
    assert sum(blocks) == 3
    assert blocks.count(0) == 4
    assert runs(4).counted("four procedural")["one_neuron"]["blocks"].count(0) == 3


@pytest.mark.parametrize("way", [way for way, ranks in RANKS.items() if ranks > 1])
def test_exchange_overflowed(runs: Callable, way: str) -> None:
    counted = runs(RANKS[way]).counted(way)
    assert counted["thousands_of_spikes_in_a_step"]["overflows"] > 0
    step = reference(runs(1).path(REFERENCE, "thousands_of_spikes_in_a_step"))["spikes step"]
    assert np.bincount(step).max() > 4000


def test_ranks_that_are_far_in_time_exchange_less_often(runs: Callable) -> None:
    # 0.1 ms inside an area, 3 ms between them
    for way, steps in (("two", 1), ("two packed pulled", 30), ("four procedural", 30)):
        path = runs(RANKS[way]).path(way, "areas")
        assert StoreReader(path).metadata["settings"]["epoch_steps"] == steps


@pytest.mark.parametrize("way", ["two", "two packed pulled", "seven"])
def test_ranks_count_what_was_wired_and_spiked(runs: Callable, way: str) -> None:
    told = [case for case in CASES if is_told(runs(1).path(REFERENCE, case))]
    assert len(told) > 10
    # synapses that learn, and those of ranks that are far in time
    assert {"areas", "plastic_synapses"} <= set(told)
    for case in told:
        path = runs(RANKS[way]).path(way, case)
        counts = [rank.counted for rank in StoreReader(path).attempts[0].ranks]
        known = expected(runs(1).path(REFERENCE, case), path)
        for count, numbers in zip(counts, known, strict=True):
            assert {name: count[name] for name in numbers} == numbers, case


def test_a_run_is_told_beside_what_was_expected_of_it(
    runs: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    path = runs(2).path("two packed pulled", "areas")
    assert main(["partition", str(path), "--json", "--strategy", "round_robin"]) == 0
    counted, same, other = json.loads(capfd.readouterr().out)
    assert [counted["kind"], same["kind"]] == ["counted", "expected"]
    assert (counted["strategy"], other["strategy"]) == ("graph", "round_robin")
    assert counted["neurons"] == same["neurons"]
    assert (counted["epoch_ms"], counted["contacts"]) == (same["epoch_ms"], same["contacts"])
    assert np.all(np.array(counted["smallest_delay_ms"]) >= same["smallest_delay_ms"])
    # 80 ms in epochs of 3 ms, the last one cut short
    assert counted["exchanges_per_s"] == pytest.approx(27 / 0.08)
    assert same["exchanges_per_s"] == pytest.approx(1e3 / 3.0)
    for name in ("connectivity", "traffic_per_s", "cut_synapses", "bytes_per_s"):
        assert counted[name] == pytest.approx(same[name], rel=0.1), name


def test_edges_are_the_same_from_either_kind_of_file(runs: Callable) -> None:
    runs(1)
    npz, zarr = (runs(1).path(REFERENCE, f"edges_{kind}") for kind in ("npz", "zarr"))
    assert_same(recorded(npz), recorded(zarr))


@pytest.mark.parametrize("case", CASES)
def test_same_recordings_after_being_given_up_and_resumed(
    runs: Callable, chained: Runs, case: str
) -> None:
    first, path = runs(1).path(REFERENCE, case), chained.path(CHAINED, case)
    reader = StoreReader(path)
    assert reader.complete
    assert [len(attempt.ranks) for attempt in reader.attempts] == [ranks for ranks, _ in CHAIN]
    assert reader.n_committed >= reader.n_spikes
    assert_same(reference(first), recorded(path))
    assert reader.spike_hash() == reference_hash(first)


def test_what_was_recorded_after_the_last_checkpoint_was_void(chained: Runs) -> None:
    stores = [StoreReader(chained.path(CHAINED, case)) for case in CASES]
    assert any(reader.n_committed > reader.n_spikes for reader in stores)


def last(path: Path) -> Generation:
    return Generation.open(path, generations(path)[0])


@pytest.mark.parametrize("way", ["two explicit pushed", "four procedural", CHAINED])
@pytest.mark.parametrize("case", CASES)
def test_same_state_and_synapses_at_the_end(
    runs: Callable, chained: Runs, case: str, way: str
) -> None:
    expected = last(runs(1).path(REFERENCE, case))
    path = chained.path(way, case) if way == CHAINED else runs(RANKS[way]).path(way, case)
    found = last(path)
    assert found.about["reach"] == expected.about["reach"]
    index, known = (one.blocks(2**12) for one in (found, expected))
    np.testing.assert_array_equal(index["wiring"], known["wiring"])
    np.testing.assert_array_equal(index["digest"], known["digest"])
    assert found.about["digest"] == expected.about["digest"]
    assert found.about["spikes"] == expected.about["spikes"]
