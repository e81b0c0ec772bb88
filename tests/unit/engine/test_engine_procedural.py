"""Synapses that are drawn again when their source spikes are the stored ones."""

import numpy as np
import numpy.typing as npt
import pytest
from decoded import DELAY, PLANE, SOURCE, TARGET, WEIGHT, Ints, gids_of, layouts, of_wiring, scales

from distsnn.engine import wiring
from distsnn.engine.delivery import ProceduralDelivery, RowSetDelivery, SynapticDelivery
from distsnn.engine.kernel_calls import invoke
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import InputRing
from distsnn.network import (
    AllToAll,
    ConnectionRule,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscDelta,
    IafPscExp,
    Lognormal,
    Network,
    Normal,
    OneToOne,
    PairwiseBernoulli,
    Population,
    Projection,
    Uniform,
)

E = Population("E", 300, IafPscExp())
D = Population("D", 133, IafPscDelta())
RNG = np.random.default_rng(1)

RULES: dict[str, ConnectionRule] = {
    "one to one": OneToOne(),
    "all to all": AllToAll(),
    "all to all, no autapses": AllToAll(autapses=False),
    "outdegree": FixedOutdegree(17),
    "outdegree, no autapses": FixedOutdegree(17, autapses=False),
    "outdegree, neither": FixedOutdegree(99, autapses=False, multapses=False),
    "total": FixedTotalNumber(4001),
    "total, no autapses": FixedTotalNumber(4001, autapses=False),
    "bernoulli": PairwiseBernoulli(0.07),
    "bernoulli, no autapses": PairwiseBernoulli(0.07, autapses=False),
    # stored in any case
    "indegree": FixedIndegree(9),
}
VALUES = {
    "constant": (3.25, 1.5),
    "both signs": (Normal(0.5, 1.0), Uniform(0.3, 2.7)),
    "heavy": (Lognormal(0.0, 3.0), Exponential(2.0)),
}


def test_memory_of_tables_counts() -> None:
    delays = np.full((E.size, D.size), 1.5)
    network = Network([E, D], [Projection(E, D, AllToAll(), weight=1.0, delay=delays)])
    (layout,) = layouts(network, 1)
    made = wiring.build_local_synapses(layout, scales(network), 1, storage="procedural")
    assert not made.row_sets
    assert delays.size * np.dtype(np.int32).itemsize < made.nbytes < 2 * delays.nbytes


def _delivered(layout: LocalLayout, made: wiring.LocalSynapses, gids: Ints, bits: int) -> Ints:
    """Return what spikes of some sources in loop 5 add: (planes, delay, gid), quanta."""
    rows = 1 << max(1, made.largest_delay).bit_length()
    kind = np.int32 if bits == 32 else np.int64
    ring = InputRing(np.zeros((2, rows, 1 << layout.target_bits), kind))
    gid, step = gids.astype(np.uint32), np.full(gids.size, 5)
    calls: list[SynapticDelivery] = [
        *(RowSetDelivery(one, ring, gid, step) for one in made.row_sets),
        *(ProceduralDelivery(one, ring, gid, step) for one in made.generators),
    ]
    for one in calls:
        assert invoke(one.deliver, 5, 0, gids.size) == 0
    real = np.flatnonzero(np.arange(layout.n_local) % 64 < np.repeat(layout.group_size, 64))
    assert np.count_nonzero(ring.rows) == np.count_nonzero(ring.rows[:, :, real])
    out = np.zeros((2, rows, layout.network.n_neurons), np.int64)
    delays = np.roll(ring.rows, -5, axis=1)
    out[:, :, gids_of(layout, real)] = delays[:, :, real]
    return out


def _sums(stored: Ints, gids: Ints, like: npt.NDArray[np.int64]) -> Ints:
    out = np.zeros_like(like)
    for gid in gids.tolist():
        mine = stored[stored[:, SOURCE] == gid]
        np.add.at(out, (mine[:, PLANE], mine[:, DELAY], mine[:, TARGET]), mine[:, WEIGHT])
    return out


@pytest.mark.parametrize("values", list(VALUES))
@pytest.mark.parametrize("rule", list(RULES))
def test_drawn_synapses_are_the_stored_ones(rule: str, values: str) -> None:
    weight, delay = VALUES[values]
    same, other = (
        Projection(E[20:290], E[20:290], RULES[rule], weight=weight, delay=delay, name="same"),
        Projection(
            D[5:100],
            E[60:155],
            OneToOne() if rule == "one to one" else PairwiseBernoulli(0.1),
            weight=weight,
            delay=delay,
            name="other",
        ),
    )
    network = Network([E, D], [same, other])
    fine = scales(network)
    bits = 64 if values == "heavy" else 32
    for layout in layouts(network, 3):
        stored = wiring.build_local_synapses(layout, fine, 1, delivery="push")
        drawn = wiring.build_local_synapses(layout, fine, 1, delivery="push", storage="procedural")
        assert drawn.generators
        assert drawn.synapses == stored.synapses
        assert drawn.largest_delay == stored.largest_delay
        assert drawn.smallest_delay == stored.smallest_delay
        np.testing.assert_array_equal(drawn.weight_sums, stored.weight_sums)
        table = of_wiring(layout, stored)
        for gids in (np.array([20, 305]), np.array([289, 399]), RNG.choice(433, 40)):
            found = _delivered(layout, drawn, gids, bits)
            np.testing.assert_array_equal(found, _sums(table, gids, found))
            np.testing.assert_array_equal(found, _delivered(layout, stored, gids, bits))


def test_auto_draws_again_what_does_not_fit_into_memory() -> None:
    network = Network([E], [Projection(E, E, FixedTotalNumber(5000), weight=1.0, delay=1.0)])
    (layout,) = layouts(network, 1)
    kept = wiring.build_local_synapses(layout, scales(network), 1, memory_bytes=1e6)
    assert not kept.generators
    drawn = wiring.build_local_synapses(layout, scales(network), 1, memory_bytes=1e3)
    assert drawn.generators
    assert not drawn.row_sets
    # what has no rule for it is stored all the same
    network = Network([E], [Projection(E, E, FixedIndegree(20), weight=1.0, delay=1.0)])
    # (300 neurons of 20 synapses: 12 kB at least, 27 kB expected)
    stored = wiring.build_local_synapses(
        layouts(network, 1)[0], scales(network), 1, memory_bytes=2e4
    )
    assert not stored.generators
    assert stored.row_sets
