"""Weights onto each neuron normalised: against numpy, on one and several ranks, and refused."""

import numpy as np
import numpy.typing as npt
import pytest
from test_simulation_plastic import E, S
from thread_ranks import run as run_ranks

from distsnn.comm import Communicator
from distsnn.errors import DescriptionError
from distsnn.network import STDP, FixedIndegree, Network, PoissonInput, Projection, Uniform
from distsnn.simulation import RunPolicy, Simulation

NETWORK = Network(
    [S, E],
    [
        Projection(
            *(E, E[:100], FixedIndegree(9), Uniform(0.0, 40.0), 1.5),
            synapse=STDP(w_max=50.0),
            name="E->E",
        ),
        Projection(S, E, FixedIndegree(7), Uniform(-30.0, -1.0), 1.0, synapse=STDP(w_max=-40.0)),
    ],
    [PoissonInput(E, 9000.0, 55.0)],
)
TOTALS = np.linspace(20.0, 600.0, 100)


def expected(
    weights: npt.NDArray[np.float64], targets: npt.NDArray[np.int64], total: object, most: float
) -> npt.NDArray[np.float32]:
    """Scale float32 weights, in the order of source and target, target by target."""
    sums = np.bincount(targets, weights=weights)
    scaled = weights * (np.broadcast_to(total, sums.shape) / sums)[targets]
    return np.minimum(scaled.astype(np.float32), np.float32(most))


def test_sums_become_the_total_as_in_numpy() -> None:
    with Simulation(NETWORK) as simulation:
        simulation.run(40.0)
        for name, total, most in (("E->E", TOTALS, 50.0), ("S->E", -90.0, -40.0)):
            synapses = simulation[name]
            before, targets = synapses.weights, synapses.targets - S.size
            synapses.normalise(total)
            after, sign = synapses.weights, np.sign(most)
            want = expected(sign * before, targets, sign * np.asarray(total), abs(most))
            np.testing.assert_array_equal(after, sign * want)
            free = np.bincount(targets, weights=np.abs(after) == abs(most)) == 0
            assert free.sum() >= 40
            sums = np.bincount(targets, weights=after)
            np.testing.assert_allclose(
                sums[free], np.broadcast_to(total, free.shape)[free], rtol=1e-6
            )
        # 600 / 9 is beyond the bound
        assert simulation["E->E"].weights.max() == 50.0


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_same_on_any_ranks(ranks: int) -> None:
    # spikes take ranks apart without an exchange between threads: weights as drawn
    def main(communicator: Communicator | None = None) -> list[npt.NDArray[np.float64]]:
        with Simulation(
            NETWORK, communicator=communicator, policy=RunPolicy(heartbeat_timeout=np.inf)
        ) as simulation:
            both = [simulation[name] for name in ("E->E", "S->E")]
            for synapses, total in zip(both, (TOTALS, -90.0), strict=True):
                synapses.normalise(total)
            return [synapses.weights for synapses in both]

    one, (several, _) = main(), run_ranks(ranks, main)
    for found in several:
        for here, there in zip(found, one, strict=True):
            np.testing.assert_array_equal(here, there)


def test_neuron_without_weight_keeps_it() -> None:
    with Simulation(NETWORK) as simulation:
        synapses = simulation["E->E"]
        synapses.weights = np.where(synapses.targets == S.size + 3, 0.0, synapses.weights)
        synapses.normalise(80.0)
        silent = synapses.targets == S.size + 3
        assert (synapses.weights[silent] == 0.0).all() and (synapses.weights[~silent] > 0.0).any()


@pytest.mark.parametrize(
    ("name", "total", "message"),
    [
        ("E->E", 0.0, "weights of projection 'E->E', total: out of range; given 0.0; allowed: > 0"),
        ("E->E", np.inf, "total: must be finite"),
        ("S->E", 90.0, "'S->E', total: out of range; given 90.0; allowed: < 0"),
        ("E->E", np.ones(140), "'E->E', total: array of the wrong shape"),
        ("E->E", Uniform(1.0, 2.0), "total: must be a number or an array"),
    ],
)
def test_total_that_cannot_be_is_refused(name: str, total: object, message: str) -> None:
    with Simulation(NETWORK) as simulation, pytest.raises(DescriptionError) as caught:
        simulation[name].normalise(total)
    assert message in str(caught.value)


def test_different_totals_on_two_ranks_are_refused() -> None:
    def main(communicator: Communicator) -> None:
        with Simulation(
            NETWORK, communicator=communicator, policy=RunPolicy(heartbeat_timeout=np.inf)
        ) as simulation:
            simulation["E->E"].normalise(80.0 + communicator.rank)

    results, _ = run_ranks(2, main)
    assert all("rank 1 was given other" in str(one) for one in results)
