"""Local numbers of neurons: padded groups of 64, the same counters wherever a block lies."""

import numpy as np
import pytest
from decoded import layouts

from distsnn.network import IafPscExp, Network, Population
from distsnn.partition.assignment import Assignment

NETWORK = Network([Population(n, s, IafPscExp()) for n, s in (("a", 300), ("b", 64), ("c", 65))])
GIDS = np.arange(429)


@pytest.mark.parametrize("strategy", ["round_robin", "contiguous"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 8, 9])
def test_every_neuron_has_one_place(ranks: int, strategy: str) -> None:
    seen = []
    for layout in layouts(NETWORK, ranks, strategy):
        assert layout.n_local % 64 == 0
        assert layout.n_local == 64 * layout.group_gid.size
        assert 1 << layout.target_bits >= layout.n_local
        assert layout.first[0] == 0
        np.testing.assert_array_equal(layout.first[1:], layout.last[:-1])
        assert layout.last[-1] == layout.n_local
        lanes = np.arange(64) < layout.group_size[:, None]
        gids = layout.group_gid[:, None].astype(np.int64) + np.arange(64)
        assert layout.n_neurons == np.count_nonzero(lanes)
        seen.append(gids[lanes])
        for index, population in enumerate(NETWORK.populations):
            first = NETWORK.first_gid[population.name]
            inside = layout.population_neurons(index)
            low, high = layout.first[index], layout.last[index]
            assert inside.size == high - low
            here = gids.reshape(-1)[low:high]
            np.testing.assert_array_equal(inside[inside >= 0] + first, here[inside >= 0])
            np.testing.assert_array_equal(inside >= 0, lanes.reshape(-1)[low:high])
            assert layout.population_index(population.name) == index
        # blocks are local ranges
        for block in layout.owned_blocks:
            local = layout.block_first_local[block]
            assert layout.group_gid[local // 64] == layout.blocks.gid[block]
        assert np.count_nonzero(layout.block_first_local >= 0) == layout.owned_blocks.size
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), GIDS)


def test_counters_follow_the_neuron_not_the_rank() -> None:
    of_gid = {}
    for ranks in (1, 3, 5):
        for layout in layouts(NETWORK, ranks):
            counters = layout.counters.reshape(-1, 8)
            for gid, row in zip(layout.group_gid.tolist(), counters.tolist(), strict=True):
                assert of_gid.setdefault(gid, row) == row
    # they count from 0 in every population
    assert of_gid[0] == of_gid[300] == of_gid[364] == list(range(8))
    assert of_gid[64] == list(range(8, 16))


def test_larger_blocks_hold_several_groups() -> None:
    network = Network([Population("a", 70_000, IafPscExp()), Population("b", 130, IafPscExp())])
    layout = layouts(network, 2)[1]
    assert layout.blocks.block_size == 128
    assert layout.n_local % 64 == 0
    np.testing.assert_array_equal(layout.group_number[:4], [2, 3, 6, 7])
    np.testing.assert_array_equal(layout.group_gid[:4], [128, 192, 384, 448])


def test_a_rank_without_blocks() -> None:
    n = layouts(NETWORK, 1)[0].blocks.n_blocks
    empty = layouts(NETWORK, 2, Assignment(2, np.zeros(n, np.int32)))[1]
    assert (empty.n_local, empty.n_neurons, empty.target_bits) == (0, 0, 1)
    assert empty.counters.size == empty.group_gid.size == empty.owned_blocks.size == 0
    assert all(empty.population_neurons(index).size == 0 for index in range(3))
