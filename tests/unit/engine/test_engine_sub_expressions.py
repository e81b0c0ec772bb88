"""Values of sub-expressions: the same bits wherever a neuron and a row are in an array."""

import numpy as np
import pytest
from decoded import layouts

from distsnn.engine.local_neurons import make_neurons
from distsnn.engine.sub_expressions import sampled_states, sub_expression
from distsnn.network import Network, NeuronModel, Population, Uniform

MODEL = NeuronModel(
    equations="""
        powers = (g/nS)**k + (g/nS)**2.5 + (V_m/mV)**-3 : 1
        functions = exp(V_m/mV/50) + exprel(V_m/mV/9) + erf(V_m/(40*mV)) + log(g/nS) : 1
        roots = sqrt(g/nS) + (g/nS)**0.5 + abs(V_m/mV)**1.5 : 1
        dV_m/dt = -V_m/(10*ms) : mV
        dg/dt = -g/(5*ms) : nS
    """,
    parameters={"k": (1.5, "1")},
    name="functions",
)
NAMES = [*MODEL.neuron.readable()][2:]
N, ROWS = 131, 7


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_values_have_the_same_bits_in_any_part_of_an_array(name: str, precision: str) -> None:
    cells = Population("cells", N, MODEL(k=Uniform(0.5, 3.0)), precision=precision)
    (layout,) = layouts(Network([cells]), 1)
    neurons = make_neurons(layout, 0, 3, False)
    slots = np.flatnonzero(neurons.neurons >= 0)
    random = np.random.default_rng(5)
    ranges = {"V_m": (-90.0, 40.0), "g": (0.01, 60.0)}
    used = sampled_states(cells.model, [name])
    states = {state: random.uniform(*ranges[state], (ROWS, N)) for state in used}
    whole = sub_expression(neurons, name, states, slots)
    assert whole.shape == (ROWS, N) and whole.dtype == precision
    assert np.isfinite(whole).all()
    assert np.unique(whole).size > 0.9 * whole.size
    for rows, chosen in ((slice(2, 5), [5, 6, 7, 130]), (slice(6, 7), [64]), (slice(1, 7), [9, 3])):
        part = {state: array[rows, chosen] for state, array in states.items()}
        found = sub_expression(neurons, name, part, slots[chosen])
        assert found.tobytes() == whole[rows, chosen].tobytes()


def test_one_value_for_all_neurons_is_that_of_each() -> None:
    # a rank whose neurons share a parameter's value may keep one number
    states = {"V_m": np.linspace(-70.0, -50.0, N)[None], "g": np.linspace(0.1, 9.0, N)[None]}
    found = []
    for given in (3.0, np.full(N, 3.0)):
        cells = Population("cells", N, MODEL(k=given), precision="float64")
        (layout,) = layouts(Network([cells]), 1)
        neurons = make_neurons(layout, 0, 3, False)
        slots = np.flatnonzero(neurons.neurons >= 0)
        found.append(sub_expression(neurons, "powers", states, slots))
    assert found[0].tobytes() == found[1].tobytes()
