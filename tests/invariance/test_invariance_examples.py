"""The examples that the project is measured by have the same spikes on any number of ranks."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from invariance_examples import EXAMPLE_REFERENCE, EXAMPLE_WAYS, EXAMPLES
from recorded import assert_same, recorded

from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import Generation
from distsnn.io.reader import StoreReader

pytestmark = [pytest.mark.validation, pytest.mark.timeout(600)]

RANKS = {way: ranks for ranks, ways in EXAMPLE_WAYS.items() for way in ways}


@cache
def reference(path: Path) -> dict[str, np.ndarray]:
    return recorded(path)


@pytest.mark.parametrize("way", [way for way in RANKS if way != EXAMPLE_REFERENCE])
@pytest.mark.parametrize("case", EXAMPLES)
def test_same_recordings(examples: Callable, case: str, way: str) -> None:
    first = examples(1).path(EXAMPLE_REFERENCE, case)
    path = examples(RANKS[way]).path(way, case)
    assert len(StoreReader(path).attempts[0].ranks) == RANKS[way]
    expected = reference(first)
    assert np.unique(expected["spikes gid"]).size > 0.2 * StoreReader(first).n_neurons
    assert_same(expected, recorded(path))


@pytest.mark.parametrize("case", EXAMPLES)
def test_same_state_and_synapses_at_the_end(examples: Callable, case: str) -> None:
    (way,) = EXAMPLE_WAYS[4]
    paths = examples(1).path(EXAMPLE_REFERENCE, case), examples(4).path(way, case)
    first, other = (Generation.open(path, generations(path)[0]) for path in paths)
    assert other.about["digest"] == first.about["digest"]
    index, known = (one.blocks(2**12) for one in (other, first))
    np.testing.assert_array_equal(index["wiring"], known["wiring"])
