"""The examples that the project is measured by have the same spikes on any number of ranks."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from invariance_examples import EXAMPLE_REFERENCE, EXAMPLE_WAYS, EXAMPLES
from invariance_runs import Runs
from recorded import assert_same, newest_checkpoint, recorded

from distsnn.io.reader import StoreReader

pytestmark = [pytest.mark.validation, pytest.mark.timeout(600)]

RANKS = {way: ranks for ranks, ways in EXAMPLE_WAYS.items() for way in ways}
OTHERS = [(way, case) for case in EXAMPLES for way in RANKS if way != EXAMPLE_REFERENCE]


@cache
def reference(path: Path) -> dict[str, np.ndarray]:
    return recorded(path)


@pytest.mark.parametrize(("way", "case"), OTHERS)
def test_same_recordings(runs: Runs, way: str, case: str) -> None:
    first, path = runs.path(EXAMPLE_REFERENCE, case), runs.path(way, case)
    assert len(StoreReader(path).attempts[0].ranks) == RANKS[way]
    expected = reference(first)
    assert np.unique(expected["spikes gid"]).size > 0.2 * StoreReader(first).n_neurons
    assert_same(expected, recorded(path))


@pytest.mark.parametrize(("way", "case"), [pair for pair in OTHERS if RANKS[pair[0]] == 4])
def test_same_state_and_synapses_at_the_end(runs: Runs, way: str, case: str) -> None:
    paths = runs.path(EXAMPLE_REFERENCE, case), runs.path(way, case)
    first, other = (newest_checkpoint(path) for path in paths)
    assert other.attributes["digest"] == first.attributes["digest"]
    index, known = (one.blocks(2**12) for one in (other, first))
    np.testing.assert_array_equal(index["wiring"], known["wiring"])
