"""The same spikes and states, byte for byte, on any number of ranks and in any way of storing.

The default suite runs a covering array of the pairs of way and case, CI (mark ``ci``) all pairs.
"""

import json
from collections.abc import Iterable
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
from invariance_ways import CHAINS, RANKS, REFERENCE, pair
from recorded import assert_same, newest_checkpoint, recorded

from distsnn.cli import main
from distsnn.io.reader import StoreReader

# Compiling again beside other work can take minutes.
pytestmark = pytest.mark.timeout(600)


@cache
def reference(path: Path) -> dict[str, np.ndarray]:
    return recorded(path)


@cache
def reference_hash(path: Path) -> str:
    return StoreReader(path).spike_hash()


def pairs(ways: Iterable[str]) -> list[object]:
    return [pair(way, case, index) for index, case in enumerate(CASES) for way in ways]


@pytest.mark.parametrize(("way", "case"), pairs([REFERENCE]))
def test_reference_is_active(runs: Runs, way: str, case: str) -> None:
    path = runs.path(way, case)
    found = reference(path)
    n_neurons = StoreReader(path).n_neurons
    assert found["spikes gid"].size > min(150, 2 * n_neurons)
    assert np.unique(found["spikes gid"]).size > 0.05 * n_neurons
    states = [name for name in found if name.split(" ")[0] != "spikes"]
    assert all(np.isfinite(found[name]).all() for name in states)


@pytest.mark.parametrize(("way", "case"), pairs([way for way in RANKS if way != REFERENCE]))
def test_same_recordings(runs: Runs, way: str, case: str) -> None:
    first, path = runs.path(REFERENCE, case), runs.path(way, case)
    reader = StoreReader(path)
    assert reader.complete
    assert len(reader.attempts[0].ranks) == RANKS[way]
    assert_same(reference(first), recorded(path))
    assert reader.spike_hash() == reference_hash(first)


@pytest.mark.parametrize(
    ("way", "case", "without"),
    [
        pytest.param("seven", "fewer_blocks_than_ranks", 4, marks=pytest.mark.ci),
        pytest.param("four procedural", "one_neuron", 3, marks=pytest.mark.ci),
        ("three pushed in pieces", "one_neuron", 2),
    ],
)
def test_some_ranks_had_no_neurons(runs: Runs, way: str, case: str, without: int) -> None:
    blocks = runs.counted(way, case)["blocks"]
    assert (len(blocks), blocks.count(0)) == (RANKS[way], without)


@pytest.mark.parametrize(
    ("way", "case"),
    [pair(way, "thousands_of_spikes_in_a_step") for way, ranks in RANKS.items() if ranks > 1],
)
def test_exchange_overflowed(runs: Runs, way: str, case: str) -> None:
    assert runs.counted(way, case)["overflows"] > 0
    step = reference(runs.path(REFERENCE, case))["spikes step"]
    assert np.bincount(step).max() > 4000


@pytest.mark.parametrize(
    ("way", "case", "steps"),
    # 0.1 ms inside an area, 3 ms between areas
    [
        pytest.param("two", "areas", 1, marks=pytest.mark.ci),
        ("two packed pulled", "areas", 30),
        pytest.param("four procedural", "areas", 30, marks=pytest.mark.ci),
    ],
)
def test_ranks_that_are_far_in_time_exchange_less_often(
    runs: Runs, way: str, case: str, steps: int
) -> None:
    assert StoreReader(runs.path(way, case)).metadata["settings"]["epoch_steps"] == steps


@pytest.mark.parametrize(("way", "case"), pairs(["two", "two packed pulled", "seven"]))
def test_ranks_count_what_was_wired_and_spiked(runs: Runs, way: str, case: str) -> None:
    first = runs.path(REFERENCE, case)
    path = runs.path(way, case)
    counts = [rank.counters for rank in StoreReader(path).attempts[0].ranks]
    if not is_told(first):  # no recording confirms the counters; the next test counts these cases
        return
    known = expected(first, path)
    for count, numbers in zip(counts, known, strict=True):
        assert {name: count[name] for name in numbers} == numbers


@pytest.mark.ci
@pytest.mark.reads(*((REFERENCE, case) for case in CASES))
def test_counters_of_half_of_the_cases_are_confirmed_by_recordings(runs: Runs) -> None:
    told = {case for case in CASES if is_told(runs.path(REFERENCE, case))}
    assert len(told) >= len(CASES) // 2
    # synapses that learn, and those of ranks that are far in time
    assert {"areas", "plastic_synapses"} <= told


@pytest.mark.parametrize(("way", "case"), [("two packed pulled", "areas")])
def test_measured_metrics_stand_beside_expected_metrics(
    runs: Runs, way: str, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = runs.path(way, case)
    assert main(["partition", str(path), "--json", "--strategy", "round_robin"]) == 0
    counted, same, other = json.loads(capfd.readouterr().out)
    assert [counted["kind"], same["kind"]] == ["measured", "expected"]
    assert (counted["strategy"], other["strategy"]) == ("graph", "round_robin")
    assert counted["neurons"] == same["neurons"]
    assert (counted["epoch_ms"], counted["connected_rank_pairs"]) == (
        same["epoch_ms"],
        same["connected_rank_pairs"],
    )
    assert np.all(np.array(counted["min_delay_ms"]) >= same["min_delay_ms"])
    # 80 ms in epochs of 3 ms, the last one cut short
    assert counted["exchanges_per_s"] == pytest.approx(27 / 0.08)
    assert same["exchanges_per_s"] == pytest.approx(1e3 / 3.0)
    for name in ("source_rank_pairs", "remote_spikes_per_s", "cut_synapses", "bytes_per_s"):
        assert counted[name] == pytest.approx(same[name], rel=0.1), name


@pytest.mark.reads((REFERENCE, "edges_npz"), (REFERENCE, "edges_zarr"))
def test_edges_are_the_same_from_either_kind_of_file(runs: Runs) -> None:
    npz, zarr = (runs.path(REFERENCE, f"edges_{kind}") for kind in ("npz", "zarr"))
    assert_same(reference(npz), reference(zarr))


@pytest.mark.parametrize(("way", "case"), pairs(CHAINS))
def test_same_recordings_after_being_given_up_and_resumed(runs: Runs, way: str, case: str) -> None:
    first, path = runs.path(REFERENCE, case), runs.path(way, case)
    reader = StoreReader(path)
    assert reader.complete
    assert [len(attempt.ranks) for attempt in reader.attempts] == [
        ranks for ranks, _ in CHAINS[way]
    ]
    assert reader.n_committed >= reader.n_spikes
    assert_same(reference(first), recorded(path))
    assert reader.spike_hash() == reference_hash(first)


@pytest.mark.parametrize(("way", "case"), [("chained", "brunels_network")])
def test_what_was_recorded_after_the_last_checkpoint_was_void(
    runs: Runs, way: str, case: str
) -> None:
    reader = StoreReader(runs.path(way, case))
    assert reader.n_committed > reader.n_spikes


@pytest.mark.parametrize(
    ("way", "case"), pairs([*CHAINS, "two explicit pushed", "four procedural"])
)
def test_same_state_and_synapses_at_the_end(runs: Runs, way: str, case: str) -> None:
    expected, found = (
        newest_checkpoint(runs.path(REFERENCE, case)),
        newest_checkpoint(runs.path(way, case)),
    )
    assert found.attributes["max_delay_steps"] == expected.attributes["max_delay_steps"]
    index, known = (one.blocks(2**12) for one in (found, expected))
    np.testing.assert_array_equal(index["wiring"], known["wiring"])
    np.testing.assert_array_equal(index["digest"], known["digest"])
    assert found.attributes["digest"] == expected.attributes["digest"]
    assert found.attributes["recorded_spike_counts"] == expected.attributes["recorded_spike_counts"]
