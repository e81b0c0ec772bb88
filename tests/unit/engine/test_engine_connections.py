"""Counts of what ranks built, beside the lists of all synapses."""

from dataclasses import replace

import decoded
import numpy as np
import pytest
from decoded import DELAY, SOURCE, TARGET

from distsnn.engine import connections as module
from distsnn.engine import wiring
from distsnn.engine.connections import connections, remote_sources
from distsnn.network import (
    STDP,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscExp,
    Network,
    Normal,
    Population,
    Projection,
    Uniform,
)
from distsnn.network.blocks import make_blocks

RANKS, SEED = 3, 4
E, INH = Population("E", 300, IafPscExp()), Population("I", 70, IafPscExp())
NETWORK = Network(
    [E, INH],
    [
        Projection(E, E, FixedIndegree(3), Normal(5.0, 1.0), Uniform(0.7, 2.0)),
        Projection(E[40:], INH, FixedTotalNumber(50), 2.0, Uniform(0.3, 1.0)),
        Projection(INH, E, FixedOutdegree(2), -2.0, 1.5),
    ],
)


def built(network: Network, rank: int, **options: str) -> tuple:
    layout = decoded.layouts(network, RANKS)[rank]
    return layout, wiring.build(layout, decoded.scales(network), SEED, **options)


@pytest.mark.parametrize("storage", ["auto", "packed", "explicit"])
@pytest.mark.parametrize("delivery", ["pull", "push"])
def test_all_synapses_are_counted(
    storage: str, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE", 7)  # words: a few rows, or less than one
    every = decoded.synapses(NETWORK, seed=SEED)
    owner = decoded.layouts(NETWORK, RANKS)[0].assignment.owner
    rank_of = np.repeat(owner, make_blocks(NETWORK).size)
    for rank in range(RANKS):
        layout, made = built(NETWORK, rank, storage=storage, delivery=delivery)
        found = connections(layout, made)
        assert found is not None
        mine = every[rank_of[every[:, TARGET]] == rank]
        for other in range(RANKS):
            these = mine[rank_of[mine[:, SOURCE]] == other]
            assert found.sources[other] == np.unique(these[:, SOURCE]).size > 0
            assert found.synapses[other] == len(these)
            assert found.smallest_delay[other] == these[:, DELAY].min()
        bits = np.unpackbits(remote_sources(layout, made).view(np.uint8), bitorder="little")
        remote = np.unique(mine[rank_of[mine[:, SOURCE]] != rank, SOURCE])
        np.testing.assert_array_equal(np.flatnonzero(bits), remote)


def test_synapses_that_learn_count_like_others() -> None:
    first, *others = NETWORK.projections
    learns = replace(first, weight=5.0, synapse=STDP(w_max=10.0))
    found, known = (
        connections(*built(Network([E, INH], [one, *others]), 1)) for one in (learns, first)
    )
    np.testing.assert_array_equal(found.synapses, known.synapses)
    np.testing.assert_array_equal(found.sources, known.sources)
    np.testing.assert_array_equal(found.smallest_delay, known.smallest_delay)


def test_ranks_without_synapses_have_no_delay() -> None:
    network = Network([E, INH], [Projection(INH, INH, FixedIndegree(3), 1.0, 1.0)])
    found = connections(*built(network, 0))  # the blocks of I are those of ranks 2 and 0
    assert (found.sources[1], found.synapses[1], found.smallest_delay[1]) == (0, 0, 0)
    assert found.smallest_delay.max() == 10


def test_what_is_not_stored_is_not_counted() -> None:
    layout, made = built(NETWORK, 0, storage="procedural")
    assert connections(layout, made) is None
