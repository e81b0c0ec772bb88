"""The digest of a rank's synapses: the same for all storages, deliveries and numbers of ranks."""

import numpy as np
import pytest
from decoded import layouts, of_wiring, scales, synapses
from wiring_digests import reference_digests

from distsnn.engine import snapshot, wiring
from distsnn.engine.rank_engine import RankEngine
from distsnn.network import (
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscDelta,
    IafPscExp,
    Lognormal,
    Network,
    Normal,
    PairwiseBernoulli,
    Population,
    Projection,
    Uniform,
)

E = Population("E", 300, IafPscExp())
D = Population("D", 133, IafPscDelta())
NETWORK = Network(
    [E, D],
    [
        Projection(E, E, FixedTotalNumber(9000), weight=Normal(0.5, 1.0), delay=Uniform(0.3, 2.7)),
        Projection(D, E[60:155], PairwiseBernoulli(0.4), weight=-2.0, delay=1.5),
        Projection(D, E, FixedOutdegree(30), weight=3.25, delay=Normal(2.0, 0.5), receptor="ex"),
        # some of them fit no word and are stored apart
        Projection(E, D, FixedOutdegree(20), weight=Lognormal(0.0, 3.0), delay=Exponential(2.0)),
        Projection(E, D, FixedIndegree(9), weight=1.0, delay=2.5),
    ],
)


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize(
    ("delivery", "storage"),
    [
        ("auto", "auto"),
        ("pull", "auto"),
        ("push", "auto"),
        ("pull", "packed"),
        ("push", "packed"),
        ("pull", "explicit"),
        ("push", "explicit"),
        pytest.param("auto", "procedural", marks=pytest.mark.ci),
    ],
)
def test_digest_of_synapses_is_the_reference(delivery: str, storage: str, ranks: int) -> None:
    network, fine = NETWORK, scales(NETWORK)
    (whole,) = layouts(network, 1)
    block_of = whole.table.block_of_gid(np.arange(network.n_neurons))
    expected = reference_digests(synapses(network), block_of)
    assert np.unique(expected).size == expected.size > 3
    for layout in layouts(network, ranks):
        made = wiring.build(layout, fine, 1, delivery=delivery, storage=storage)
        assert bool(made.generators) == (storage == "procedural")
        assert made.synapses > len(of_wiring(layout, made)) or not made.generators
        found = snapshot.wiring(RankEngine(layout, fine, made, 1))
        np.testing.assert_array_equal(found, expected[layout.owned])


def test_rank_without_neurons_has_no_digest() -> None:
    layout = layouts(NETWORK, 20)[-1]
    assert layout.owned.size == 0
    for storage in ("auto", "procedural"):
        made = wiring.build(layout, scales(NETWORK), 1, storage=storage)
        assert snapshot.wiring(RankEngine(layout, scales(NETWORK), made, 1)).size == 0
