"""What small weights do beside large ones, seen in potentials."""

import numpy as np
import pytest

from distsnn.network import (
    FixedOutdegree,
    IafPscDelta,
    Lognormal,
    Network,
    OneToOne,
    Population,
    Projection,
    SpikeSource,
)
from distsnn.simulation import Simulation

N = 200
D = Population("D", N, IafPscDelta(V_th=1e15, tau_m=1e9, E_L=0.0))
S = Population("S", N, SpikeSource(np.full(N, 1.0), np.arange(N)))


def potentials(projection: Projection, storage: str) -> np.ndarray:
    network = Network([D, S], [projection])
    with Simulation(network, storage=storage) as simulation:
        simulation.run(3.0)
        return simulation[D].state["V_m"]


@pytest.mark.parametrize("storage", ["auto", "explicit", "procedural"])
@pytest.mark.parametrize("outlier", [1e7, 1e9])
def test_a_weight_beside_an_outlier_acts_with_its_value(outlier: float, storage: str) -> None:
    weights = np.linspace(50.0, 60.0, N)
    weights[77] = outlier
    found = potentials(Projection(S, D, OneToOne(), weights, 1.0), storage)
    np.testing.assert_allclose(found, weights, rtol=2.0**-10)


def test_drawn_weights_are_equal_in_all_storage_formats() -> None:
    # one synapse a source: a small weight is not hidden by the sum with a large one
    one = Projection(S, D, FixedOutdegree(1), Lognormal(0.0, 3.0), 1.0)
    stored, explicit, drawn = (potentials(one, how) for how in ("auto", "explicit", "procedural"))
    np.testing.assert_array_equal(stored, explicit)
    np.testing.assert_array_equal(stored, drawn)
    reached = stored[stored > 0.0]
    assert N / 2 < reached.size < N
    assert reached.max() > 1e5 * reached.min()
