"""Parameters, states and stimuli of neurons: the same on whichever rank they are."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from decoded import layouts, scales

from distsnn.engine import wiring
from distsnn.engine.local_neurons import make_neurons
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import DescriptionError
from distsnn.network import (
    ConstantCurrent,
    Exponential,
    IafCondExp,
    IafPscDelta,
    IafPscExp,
    Lognormal,
    Network,
    NoiseCurrent,
    Normal,
    PoissonInput,
    Population,
    SpikeInput,
    SpikeSource,
    TruncatedNormal,
    Uniform,
    registry,
)

A = Population(
    "a",
    200,
    IafPscExp(
        tau_m=TruncatedNormal(10.0, 2.0, low=5.0),
        C_m=np.linspace(200.0, 300.0, 200),
        E_L=Normal(-65.0, 1.0),
        V_reset=-80.0,
        I_e=Exponential(50.0),
    ),
    initial={"V_m": Uniform(-65.0, -56.0), "I_syn_ex": Lognormal(0.0, 1.0), "refractory": 3.0},
    precision="float64",
)
B = Population("b", 65, IafPscDelta(tau_m=Uniform(9.0, 11.0)), precision="float32")
C = Population("c", 70, SpikeSource(times=[0.1, 0.1, 5.0], neurons=[69, 0, 64]))
STIMULI = [
    PoissonInput(A[13:180], 20_000.0, 90.0),
    PoissonInput(A, 100.0, -30.0),
    PoissonInput(B[1:60], np.linspace(0.0, 2e5, 59), 0.3),
    ConstantCurrent(A[70:100], 400.0),
    NoiseCurrent(B, 300.0, 100.0),
    NoiseCurrent(A[60:140], 0.0, 50.0, interval=1.0),
    SpikeInput(B, [1.0, 2.0], [64, 3], 30.0),
]
NETWORK = Network([A, B, C], [], STIMULI, dt=0.1)


def _by_neuron(ranks: int, seed: int = 5) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """Return parameters and initial states of all neurons, joined from all ranks."""
    out = {}
    for layout in layouts(NETWORK, ranks):
        for index, population in enumerate(NETWORK.populations):
            made = make_neurons(layout, index, seed, False)
            real = made.neurons >= 0
            for name, values in {**made.parameters, **made.states}.items():
                whole = out.setdefault((population.name, name), np.full(population.size, np.nan))
                whole[made.neurons[real]] = np.broadcast_to(values, real.shape)[real]
    return out


def test_values_belong_to_the_neuron_not_to_the_rank() -> None:
    one = _by_neuron(1)
    assert not any(np.isnan(values).any() for values in one.values())
    for ranks in (2, 3, 7):
        for key, values in _by_neuron(ranks).items():
            np.testing.assert_array_equal(values, one[key])
    other = _by_neuron(1, seed=6)
    for name in ("tau_m", "E_L", "I_e", "V_m", "I_syn_ex"):
        assert np.mean(other["a", name] == one["a", name]) < 0.05
        assert np.unique(one["a", name]).size == 200


def test_values_are_what_was_described() -> None:
    found = _by_neuron(1)
    np.testing.assert_array_equal(found["a", "C_m"], np.linspace(200.0, 300.0, 200))
    assert found["a", "tau_m"].min() >= 5.0
    assert set(found["a", "refractory"]) == {3.0}
    assert set(found["b", "V_m"]) == {0.0}  # at rest, relative to E_L
    absolute = found["a", "V_m"] + found["a", "E_L"]
    assert absolute.min() > -65.0
    assert absolute.max() < -56.0
    assert np.ptp(absolute) > 8.0
    assert np.mean(found["a", "E_L"]) == pytest.approx(-65.0, abs=0.4)
    # different fields and populations draw different numbers
    z = (found["a", "E_L"] + 65.0, (found["a", "tau_m"] - 10.0) / 2.0)
    assert abs(np.corrcoef(*z)[0, 1]) < 0.3


def _run(ranks: int, seed: int = 5) -> tuple[list[tuple[int, int]], dict[str, npt.NDArray]]:
    spikes: list[tuple[int, int]] = []
    states: dict[str, npt.NDArray] = {}

    def take(step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        spikes.extend(zip(step.tolist(), gid.tolist(), strict=True))

    for layout in layouts(NETWORK, ranks):
        fine = scales(NETWORK)
        engine = RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, seed), seed)
        engine.connect(None, 10, engine.synapses.largest_delay)
        engine.run(400, take)
        for one in engine.neurons.values():
            real = one.neurons >= 0
            for name, values in one.states.items():
                key = f"{one.population.name}.{name}"
                whole = states.setdefault(key, np.zeros(one.population.size, values.dtype))
                whole[one.neurons[real]] = values[real]
    return sorted(spikes), states


def test_stimuli_and_neurons_do_the_same_on_any_number_of_ranks() -> None:
    spikes, states = _run(1)
    assert len(spikes) > 1000
    assert {gid for step, gid in spikes if step == 1} >= {265, 334}
    assert (50, 329) in spikes
    for ranks in (2, 3, 7, 11):
        found, theirs = _run(ranks)
        assert found == spikes
        for name, values in states.items():
            np.testing.assert_array_equal(theirs[name], values)
    assert _run(1, seed=6)[0] != spikes
    # seeds of 64 bits
    assert _run(1, seed=2**64 - 1)[0] == _run(3, seed=2**64 - 1)[0]


SWAPPED = """
from distsnn.jit import inline
from distsnn.kernels.neurons.iaf_psc_exp import CONSTANTS, STATES, propagators
from distsnn.kernels.neurons.iaf_psc_exp import step as as_known
RECEPTORS = ("in", "ex")

@inline
def step(v, i_ex, i_in, refractory, in_in, in_ex, current,
         p22, p21_ex, p21_in, p20, p11_ex, p11_in, drive, v_th, v_reset, n_ref):
    return as_known(v, i_ex, i_in, refractory, in_ex, in_in, current,
                    p22, p21_ex, p21_in, p20, p11_ex, p11_in, drive, v_th, v_reset, n_ref)
"""


class Swapped(IafPscExp):
    """A neuron whose kernel takes its receptors in another order than the model names them."""

    name: ClassVar[str] = "swapped"
    kernel: ClassVar[str] = "swapped_kernel"


def test_receptors_are_known_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "swapped_kernel.py").write_text(SWAPPED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(registry._MODELS, "swapped", Swapped)
    currents = []
    for model in (IafPscExp(), Swapped()):
        one = Population("n", 64, model, precision="float64")
        events = SpikeInput(one, [0.1, 0.1, 0.3], [3, 4, 4], [100.0, -50.0, 20.0])
        network = Network([one], [], [events], dt=0.1)
        (layout,) = layouts(network, 1)
        engine = RankEngine(
            layout, scales(network), wiring.build_local_synapses(layout, scales(network), 1), 1
        )
        engine.connect(None, 1, engine.synapses.largest_delay)
        engine.run(5, lambda step, gid: None)
        states = engine.neurons["n"].states
        currents.append([states["I_syn_ex"].copy(), states["I_syn_in"].copy()])
    np.testing.assert_array_equal(currents[0], currents[1])
    assert np.all(currents[0][0][3:5] > 0.0)
    assert currents[0][1][4] < 0.0


IN_PARTS = """
import numpy as np
from distsnn.kernels.neurons import iaf_cond_exp
from distsnn.kernels.neurons.iaf_cond_exp import CONSTANTS, RECEPTORS, STATES, integrate, step

def propagators(parameters, dt):
    return iaf_cond_exp.propagators(parameters, dt) | {"substeps": np.asarray(30.0)}
"""


class InParts(IafCondExp):
    """A neuron whose kernel chooses the number of parts of a step."""

    name: ClassVar[str] = "in_parts"
    kernel: ClassVar[str] = "kernel_in_parts"


def test_a_kernel_takes_the_parts_of_its_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kernel_in_parts.py").write_text(IN_PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(registry._MODELS, "in_parts", InParts)
    network = Network([Population("n", 64, InParts(substeps=3))])
    (layout,) = layouts(network, 1)
    engine = RankEngine(
        layout, scales(network), wiring.build_local_synapses(layout, scales(network), 1), 1
    )
    what = "population 'n': the kernel .* more parts .*; given 30; allowed: .* 3"
    with pytest.raises(DescriptionError, match=what):
        engine.connect(None, 1, engine.synapses.largest_delay)
