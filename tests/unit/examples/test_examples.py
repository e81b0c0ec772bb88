"""The other examples are the published networks, and every example can be found and built."""

import inspect
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from distsnn import examples
from distsnn.errors import DescriptionError
from distsnn.examples import (
    brette_coba,
    brette_cuba,
    brunel,
    hpc_benchmark,
    izhikevich2003,
    tutorial,
)
from distsnn.network import (
    AllToAll,
    FixedIndegree,
    IafCondExp,
    IafPscAlpha,
    IafPscDelta,
    IafPscExp,
    Izhikevich,
    Network,
    Normal,
    PoissonInput,
    STDPPowerLaw,
    Uniform,
)
from distsnn.simulation import Simulation


def indegrees(network: Network, *, autapses: bool = True) -> dict[str, dict[str, int]]:
    """Synapses onto a neuron, by target and source population."""
    found: dict[str, dict[str, int]] = {one.name: {} for one in network.populations}
    for one in network.projections:
        assert isinstance(one.rule, FixedIndegree)
        assert (one.rule.autapses, one.rule.multapses) == (autapses, True)
        found[one.post.population][one.pre.population] = one.rule.indegree
    return found


@pytest.mark.parametrize(
    "name",
    [
        *("boltzmann", "brette_coba", "brette_cuba", "brunel", "cartpole", "diagnosis", "digits"),
        *("hpc_benchmark", "izhikevich2003", "microcircuit", "selectivity", "synfire", "tutorial"),
    ],
)
def test_example_is_found_documented_and_reproducible(name: str) -> None:
    assert name in examples.names()
    module = examples.example(name)
    assert inspect.getdoc(module)
    assert "Parameters" in inspect.getdoc(module.build)
    signature = inspect.signature(module.build)
    assert all(one.default is not one.empty for one in signature.parameters.values())
    assert module.build() == module.build()


def test_unknown_example_is_refused() -> None:
    with pytest.raises(DescriptionError, match=r"unknown example 'brunl'.*did you mean 'brunel'"):
        examples.example("brunl")


def test_brunels_network() -> None:
    network = brunel.build()
    assert [one.size for one in network.populations] == [10000, 2500]
    assert indegrees(network) == {"E": {"E": 1000, "I": 250}, "I": {"E": 1000, "I": 250}}
    assert {(one.pre.population, one.weight, one.delay) for one in network.projections} == {
        ("E", 0.1, 1.5),
        ("I", -0.5, 1.5),
    }
    assert [one.target.size for one in network.stimuli] == [10000, 2500]
    for one in network.stimuli:
        assert isinstance(one, PoissonInput)
        # twice the rate that takes the mean potential to the threshold:
        # rate · J · tau_m = 2 · 20 mV
        assert one.rate == pytest.approx(20000.0)
        assert one.rate * 1e-3 * 0.1 * 20.0 == pytest.approx(2 * 20.0)
    for population in network.populations:
        model = population.model
        assert isinstance(model, IafPscDelta)
        assert (model.tau_m, model.t_ref, model.E_L) == (20.0, 2.0, 0.0)
        assert (model.V_reset, model.V_th, model.I_e) == (0.0, 20.0, 0.0)
        assert population.initial["V_m"] == 0.0


def test_brunels_network_takes_its_parameters() -> None:
    network = brunel.build(order=50, g=6.0, eta=0.9, J=0.2, precision="float64")
    assert indegrees(network)["E"] == {"E": 20, "I": 5}
    assert [one.weight for one in network.projections] == pytest.approx([0.2, 0.2, -1.2, -1.2])
    rate = network.stimuli[0].rate
    assert rate * 1e-3 * 0.2 * 20.0 == pytest.approx(0.9 * 20.0)
    assert network.populations[0].precision == "float64"


@pytest.mark.parametrize(("order", "J"), [(9, 0.1), (0, 0.1), (50, 0.0), (50, -0.1)])
def test_brunels_network_without_sources_or_weight_is_refused(order: int, J: float) -> None:
    with pytest.raises(DescriptionError, match="brunel, "):
        brunel.build(order=order, J=J)


def test_nests_benchmark_with_plastic_synapses() -> None:
    network = hpc_benchmark.build()
    assert [one.size for one in network.populations] == [9000, 2250]
    assert network.expected_synapses() == 126_562_500
    sources = {"E": {"E": 9000, "I": 2250}, "I": {"E": 9000, "I": 2250}}
    assert indegrees(network, autapses=False) == sources
    # as NEST's script has it from Lambert's function
    weight = 45.609600316540956
    for one in network.projections:
        sign = 1.0 if one.pre.population == "E" else -5.0
        assert (one.weight, one.delay) == (pytest.approx(sign * weight, rel=1e-14), 1.5)
        assert (one.plasticity_rule is not None) == (one.name == "E->E")
    learning = network.projections[0].plasticity_rule
    assert isinstance(learning, STDPPowerLaw)
    assert (learning.learning_rate, learning.alpha, learning.mu) == (0.1, 0.0513, 0.4)
    assert (learning.tau_plus, learning.tau_minus, learning.w_max) == (15.0, 30.0, float("inf"))
    for stimulus in network.stimuli:
        assert isinstance(stimulus, PoissonInput)
        assert (stimulus.rate, stimulus.weight) == (
            pytest.approx(20856.037200898867, rel=1e-13),
            pytest.approx(weight),
        )
    for population in network.populations:
        model = population.model
        assert isinstance(model, IafPscAlpha)
        assert (model.C_m, model.tau_m, model.t_ref, model.E_L) == (250.0, 10.0, 0.5, 0.0)
        assert model.tau_syn_ex == model.tau_syn_in == 0.32582722403722841
        assert (model.V_reset, model.V_th) == (0.0, 20.0)
        assert population.initial["V_m"] == Normal(5.7, 7.2)


def test_nests_benchmark_takes_its_parameters() -> None:
    network = hpc_benchmark.build(scale=0.1, plastic=False, density=0.02, precision="float64")
    assert [one.size for one in network.populations] == [900, 225]
    assert indegrees(network, autapses=False)["E"] == {"E": 180, "I": 45}
    assert all(one.synapse is None for one in network.projections)
    assert network.stimuli[0].rate == hpc_benchmark.build().stimuli[0].rate
    for name in ("scale", "density"):
        with pytest.raises(DescriptionError, match=f"hpc_benchmark, {name}"):
            hpc_benchmark.build(**{name: 1e-4})


@pytest.mark.parametrize(
    ("neurons", "sizes", "kicked"), [(4000, [3200, 800], 50), (40000, [32000, 8000], 500)]
)
def test_brettes_network_grows_with_the_same_indegrees(
    neurons: int, sizes: list[int], kicked: int
) -> None:
    network = brette_cuba.build(neurons)
    assert [one.size for one in network.populations] == sizes
    assert indegrees(network) == {"E": {"E": 64, "I": 16}, "I": {"E": 64, "I": 16}}
    assert {(one.pre.population, one.weight, one.delay) for one in network.projections} == {
        ("E", 16.2, 0.1),
        ("I", -139.5, 0.1),
    }
    (kick,) = network.stimuli
    assert isinstance(kick, PoissonInput)
    target = kick.target
    assert (target.population, target.start, target.stop) == ("E", 0, kicked)
    assert (kick.rate, kick.weight, kick.start, kick.stop) == (300.0, 16.2, 1.0, 51.0)
    for population in network.populations:
        model = population.model
        assert isinstance(model, IafPscExp)
        assert (model.C_m, model.tau_m, model.t_ref, model.E_L) == (200.0, 20.0, 5.0, -49.0)
        assert (model.tau_syn_ex, model.tau_syn_in) == (5.0, 10.0)
        assert (model.V_reset, model.V_th) == (-60.0, -50.0)
        assert population.initial["V_m"] == -49.0


@pytest.mark.parametrize("module", [brette_coba, brette_cuba], ids=["coba", "cuba"])
def test_brettes_network_without_neurons_to_kick_is_refused(module: ModuleType) -> None:
    name = module.__name__.rpartition(".")[2]
    with pytest.raises(DescriptionError, match=rf"{name}, neurons: too few neurons; given 79"):
        module.build(79)
    assert module.build(80).stimuli[0].target.size == 1


def test_brettes_network_with_conductances() -> None:
    network, currents = brette_coba.build(8000, substeps=2), brette_cuba.build(8000)
    assert indegrees(network) == indegrees(currents)
    assert {(one.pre.population, one.weight, one.delay) for one in network.projections} == {
        ("E", 6.0, 0.1),
        ("I", -67.0, 0.1),
    }
    (kick,) = network.stimuli
    assert isinstance(kick, PoissonInput)
    assert (kick.target.size, kick.rate, kick.weight) == (100, 300.0, 6.0)
    for population in network.populations:
        model = population.model
        assert isinstance(model, IafCondExp)
        assert (model.C_m, model.g_L, model.t_ref, model.E_L) == (200.0, 10.0, 5.0, -60.0)
        assert (model.E_ex, model.E_in) == (0.0, -80.0)
        assert (model.tau_syn_ex, model.tau_syn_in) == (5.0, 10.0)
        assert (model.V_reset, model.V_th, model.substeps) == (-60.0, -50.0, 2.0)
        assert population.initial["V_m"] == -60.0


# Rates of E and I, spikes/s, and their standard deviations over seeds: of NEST 3.10 over 8 seeds
# (benchmarks/peers/nest_*.py with --warmup 0; brette_* from V_m = E_L, as here), and of the program
# that Izhikevich (2003) prints, in numpy, over 20. Brunel's are 200/198.5 of NEST's, whose Poisson
# input begins a delay of 1.5 ms later.
RATES = {
    "brunel": ((56.25, 0.21), (56.37, 0.14)),
    "brette_cuba": ((7.74, 0.23), (7.72, 0.12)),
    "brette_coba": ((12.61, 1.15), (12.70, 0.96)),
    "tutorial": ((12.32, 0.76), (12.80, 0.20)),
    "izhikevich2003": ((7.58, 0.18), (7.33, 0.23)),
    "hpc_benchmark": ((59.94, 0.71), (59.07, 0.50)),
}


@pytest.mark.parametrize(
    ("name", "network", "time_ms"),
    [
        ("brunel", brunel.build(order=250), 200.0),
        ("brette_cuba", brette_cuba.build(1000), 200.0),
        ("brette_coba", brette_coba.build(4000), 300.0),
        ("tutorial", tutorial.build(), 300.0),
        ("izhikevich2003", izhikevich2003.build(), 1000.0),
        ("hpc_benchmark", hpc_benchmark.build(scale=0.1, density=0.05), 200.0),
    ],
    ids=RATES,
)
def test_example_has_the_rates_of_its_reference(
    name: str, network: Network, time_ms: float
) -> None:
    with Simulation(network) as simulation:
        simulation.run(time_ms)
        rates = simulation.close().rates
    for population, (mean, sd) in zip("EI", RATES[name], strict=True):
        # a single run: four of its standard deviations
        assert rates[population] == pytest.approx(mean, abs=4.0 * sd), population


def test_izhikevichs_network_is_the_published_one() -> None:
    network = izhikevich2003.build()
    e, i = network.populations
    assert (e.size, i.size, network.dt) == (800, 200, 1.0)
    assert isinstance(e.model, Izhikevich) and isinstance(i.model, Izhikevich)
    # both of a neuron's parameters follow from one number in [0, 1)
    r = np.sqrt((e.model.c + 65.0) / 15.0)
    np.testing.assert_allclose(e.model.d, 8.0 - 6.0 * r**2)
    assert (e.model.a, e.model.b, i.model.c, i.model.d) == (0.02, 0.2, -65.0, 2.0)
    s = (i.model.a - 0.02) / 0.08
    np.testing.assert_allclose(i.model.b, 0.25 - 0.05 * s)
    for one in (r, s):
        assert 0.0 <= one.min() < 0.05 and 0.95 < one.max() < 1.0
        assert one.mean() == pytest.approx(0.5, abs=0.06)
    np.testing.assert_array_equal(i.initial["U_m"], i.model.b * -65.0)
    assert {(one.pre.population, one.weight, one.delay) for one in network.projections} == {
        ("E", Uniform(0.0, 0.5), 1.0),
        ("I", Uniform(-1.0, 0.0), 1.0),
    }
    assert all(one.rule == AllToAll() for one in network.projections)
    assert [one.sd for one in network.stimuli] == [5.0, 2.0]
    assert {one.model.consistent_integration for one in (e, i)} == {0.0}


def test_tutorial_prints_rates_and_draws_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("dask", "matplotlib"):
        pytest.importorskip(package, reason="the tutorial needs the extra `analysis`")
    monkeypatch.chdir(tmp_path)
    tutorial.main()
    assert (tmp_path / "tutorial.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "times real time" in printed
    assert {"E", "I"} <= {line.split(" ")[0] for line in printed.splitlines()}
