"""Rules of plasticity written as equations in whole runs, beside the built-in ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_rules import PAIR, REWARDED, TRIPLET
from scipy.stats import ks_2samp

from distsnn.errors import StateError
from distsnn.network import (
    STDP,
    FixedIndegree,
    IafPscExp,
    Network,
    PlasticityModel,
    PlasticSynapse,
    PoissonInput,
    Population,
    Projection,
    TripletSTDP,
    Uniform,
)
from distsnn.simulation import Simulation

E = Population("E", 140, IafPscExp(), {"V_m": Uniform(-70.0, -50.0)})


def learning(synapse: PlasticSynapse) -> Network:
    weights, delays = Uniform(10.0, 80.0), Uniform(1.0, 3.0)
    own = Projection(E, E, FixedIndegree(9), weights, delays, synapse=synapse)
    return Network([E], [own], [PoissonInput(E, 9000.0, 50.0)])


def learnt(network: Network) -> np.ndarray:
    with Simulation(network) as simulation:
        simulation.run(150.0)
        return simulation["E->E"].weights


@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.ci)])
@pytest.mark.parametrize("mu", [0.0, 1.0, 0.4])
def test_pair_stdp_has_the_weights_of_the_built_in_rule(precision: str, mu: float) -> None:
    values: dict[str, Any] = {
        **{"learning_rate": 0.05, "alpha": 1.1, "mu_plus": mu, "mu_minus": mu},
        **{"tau_plus": 17.0, "tau_minus": 33.7, "axonal_delay": 0.5, "precision": precision},
    }
    expected, found = learnt(learning(STDP(**values))), learnt(learning(PAIR(**values)))
    assert np.unique(expected).size > 500
    np.testing.assert_array_equal(found, expected)


@pytest.mark.ci
def test_triplet_stdp_has_the_weights_of_the_built_in_rule() -> None:
    values: dict[str, Any] = {"Aplus": 0.3, "Aminus": 0.6, "Aminus_triplet": 0.1, "w_max": 90.0}
    expected, found = learnt(learning(TripletSTDP(**values))), learnt(learning(TRIPLET(**values)))
    assert np.unique(expected).size > 500
    np.testing.assert_array_equal(found, expected)


@pytest.mark.ci
def test_parameters_may_differ_between_synapses() -> None:
    values: dict[str, Any] = {"learning_rate": Uniform(0.0, 0.1), "alpha": 1.1}
    expected, found = learnt(learning(STDP(**values))), learnt(learning(PAIR(**values)))
    assert np.unique(expected).size > 500
    # draws depend on where in the list of parameters they stand: only their distribution is alike
    assert not np.array_equal(found, expected)
    assert ks_2samp(found, expected).pvalue > 1e-3


@pytest.mark.ci
def test_bounds_may_differ_between_synapses() -> None:
    # the bounds have the same places in all rules, and so the same draws
    values: dict[str, Any] = {
        **{"learning_rate": 0.1, "mu_plus": 0.0, "mu_minus": 0.0},
        **{"w_max": Uniform(81.0, 130.0), "w_min": Uniform(2.0, 10.0)},
    }
    expected, found = learnt(learning(STDP(**values))), learnt(learning(PAIR(**values)))
    np.testing.assert_array_equal(found, expected)
    assert (found > 81.0).any()
    assert ((found > 2.0) & (found < 10.0)).any()


def test_a_weight_that_a_rule_takes_below_its_bound_stops_the_run() -> None:
    falling = PlasticityModel(on_pre="w -= 0.5*w_min")(w_min=8.0)
    start = Projection(E, E, FixedIndegree(9), 9.0, 2.0, synapse=falling)
    network = Network([E], [start], [PoissonInput(E, 9000.0, 50.0)])
    with pytest.raises(StateError, match="its weight has become 5, beyond 8 to 100"):
        learnt(network)


@pytest.mark.ci
def test_a_signal_modulates() -> None:
    with Simulation(learning(REWARDED())) as simulation:
        synapses = simulation["E->E"]
        first = synapses.weights
        simulation.run(60.0)
        np.testing.assert_array_equal(synapses.weights, first)
        simulation["E->E"].signal = 2.0
        simulation.run(60.0)
        assert (synapses.weights > first).mean() > 0.5


def test_spikes_of_a_population_modulate() -> None:
    network = learning(REWARDED(modulator="E", modulation_delay=1.5, rate=0.01))
    with Simulation(network) as simulation:
        first = simulation["E->E"].weights
        simulation.run(60.0)
        assert (simulation["E->E"].weights > first).mean() > 0.5


def test_stored_run_resumes_with_its_user_defined_rule(tmp_path: Path) -> None:
    network = learning(PAIR(learning_rate=0.05))
    with Simulation(network) as simulation:
        simulation.run(50.0)
        simulation.save(tmp_path / "middle.zarr")
        simulation.run(50.0)
        expected = simulation["E->E"].weights
    with Simulation.restore(tmp_path / "middle.zarr") as simulation:
        simulation.run(50.0)
        np.testing.assert_array_equal(simulation["E->E"].weights, expected)
