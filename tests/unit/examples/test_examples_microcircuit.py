"""The microcircuit is the published network, at every scale."""

import math

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.examples import microcircuit
from distsnn.network import FixedTotalNumber, Network, Normal, PoissonInput, TruncatedNormal


def mean_input(network: Network, numbers: np.ndarray) -> np.ndarray:
    """Mean current onto each population at the full network's rates, pA.

    From the network's own weights, external rates and constant currents, and `numbers` of synapses
    (those of the network are rounded), one spike of weight w carrying the charge w·tau_syn.
    """
    size = np.array(microcircuit.SIZES)
    weights = np.zeros((8, 8))
    names = [one.name for one in network.populations]
    for one in network.projections:
        weight = one.weight
        assert isinstance(weight, TruncatedNormal)
        weights[names.index(one.post.population), names.index(one.pre.population)] = weight.mean
    tau = microcircuit.TAU_SYN * 1e-3
    total = np.sum(weights * numbers / size[:, None] * np.array(microcircuit.RATES), axis=1) * tau
    for one in network.stimuli:
        assert isinstance(one, PoissonInput)
        total[names.index(one.target.population)] += one.rate * one.weight * tau
    return total + [one.model.I_e for one in network.populations]


def test_full_network_has_the_published_size() -> None:
    network = microcircuit.build()
    assert network.n_neurons == 77169
    assert network.expected_synapses() == 298880968
    assert [one.name for one in network.populations] == list(microcircuit.POPULATIONS)
    # 64 pairs of populations, 9 of which are not connected
    assert len(network.projections) == 64 - np.sum(np.array(microcircuit.PROBABILITIES) == 0.0)


def test_numbers_of_synapses_follow_from_the_probabilities() -> None:
    size = np.array(microcircuit.SIZES, np.float64)
    pairs = np.outer(size, size)
    numbers = np.array(microcircuit.full_synapse_numbers())
    # the probability that a pair of neurons is connected by at least one of them
    connected = -np.expm1(numbers * np.log1p(-1.0 / pairs))
    np.testing.assert_allclose(connected, microcircuit.PROBABILITIES, rtol=1e-6)


def test_weights_make_the_published_potentials() -> None:
    # peak of V for a current exp(-t/tau_syn), integrated finely
    weights = np.array(microcircuit.full_weights())
    t = np.arange(0.0, 20.0, 1e-4)
    tau_m, tau_s, c = microcircuit.TAU_M, microcircuit.TAU_SYN, microcircuit.C_M
    course = tau_m * tau_s / (c * (tau_m - tau_s)) * (np.exp(-t / tau_m) - np.exp(-t / tau_s))
    peaks = weights * course.max()
    expected = np.tile([0.15, -0.6], (8, 4))
    expected[0, 2] = 0.3
    np.testing.assert_allclose(peaks, expected, rtol=1e-6)


def test_weights_and_delays_are_drawn_as_published() -> None:
    for one in microcircuit.build().projections:
        weight, delay = one.weight, one.delay
        assert isinstance(weight, TruncatedNormal) and isinstance(delay, Normal)
        assert isinstance(one.rule, FixedTotalNumber)
        assert weight.sd == pytest.approx(0.1 * abs(weight.mean))
        excitatory = one.pre.population.endswith("E")
        assert (weight.low, weight.high) == ((0.0, math.inf) if excitatory else (-math.inf, 0.0))
        assert (weight.mean > 0.0) == excitatory
        assert (delay.mean, delay.sd) == ((1.5, 0.75) if excitatory else (0.75, 0.375))


@pytest.mark.parametrize("scale", [0.02, 0.1, 0.5])
def test_mean_input_does_not_change_with_the_scale(scale: float) -> None:
    # External indegrees are rounded, so take a network that keeps them: scale them by hand.
    numbers = np.array(microcircuit.full_synapse_numbers())
    full = mean_input(microcircuit.build(), numbers)
    small = microcircuit.build(scale)
    rounded = np.round(np.array(microcircuit.EXTERNAL_INDEGREES) * scale)
    exact = np.array(microcircuit.EXTERNAL_INDEGREES) * scale
    weight = small.stimuli[0].weight
    lost = (exact - rounded) * microcircuit.EXTERNAL_RATE * weight * microcircuit.TAU_SYN * 1e-3
    np.testing.assert_allclose(mean_input(small, numbers * scale) + lost, full, rtol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_direct_current_carries_the_same_mean_input(scale: float) -> None:
    numbers = np.array(microcircuit.full_synapse_numbers()) * scale
    poisson, direct = microcircuit.build(scale), microcircuit.build(scale, input="dc")
    assert direct.stimuli == ()
    np.testing.assert_allclose(
        mean_input(direct, numbers), mean_input(microcircuit.build(), numbers / scale), rtol=1e-12
    )
    assert direct.projections == poisson.projections


def test_network_is_made_of_plain_numbers() -> None:
    # Python floats, so that the description is the same wherever it is made.
    for population in microcircuit.build(0.1).populations:
        assert type(population.model.I_e) is float
    assert microcircuit.build(0.1) == microcircuit.build(0.1)
    assert microcircuit.build(0.1) != microcircuit.build(0.1, input="dc")


def test_logarithms_and_powers_are_rounded_correctly() -> None:
    # Not what a C library makes of them, although it never is far.
    assert microcircuit._log(0.8991) == pytest.approx(math.log(0.8991), rel=1e-15)
    assert microcircuit._power(20.0, -1.0 / 19.0) == pytest.approx(20.0 ** (-1.0 / 19.0), rel=1e-15)


def test_precision_is_that_of_all_populations() -> None:
    network = microcircuit.build(0.05, precision="float64")
    assert {one.precision for one in network.populations} == {"float64"}


def test_tiny_network_keeps_all_populations() -> None:
    assert all(one.size >= 1 for one in microcircuit.build(1e-4).populations)


@pytest.mark.parametrize("scale", [0.0, -1.0, 1.5, math.nan])
def test_scale_out_of_range_is_refused(scale: float) -> None:
    with pytest.raises(DescriptionError, match="microcircuit, scale: out of range"):
        microcircuit.build(scale)


def test_unknown_input_is_refused() -> None:
    with pytest.raises(DescriptionError, match=r"unknown input 'possion'.*did you mean 'poisson'"):
        microcircuit.build(0.1, input="possion")
