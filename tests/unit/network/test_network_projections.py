"""Projections, and the delays that a description allows."""

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    ConnectionList,
    Exponential,
    FixedIndegree,
    IafPscDelta,
    IafPscExp,
    Lognormal,
    Network,
    NmdaSynapse,
    Normal,
    OneToOne,
    PairwiseBernoulli,
    Population,
    Projection,
    SpikeSource,
    TruncatedNormal,
    Tsodyks2,
    Uniform,
    delay_bounds,
    delay_steps,
)

E = Population("E", 10, IafPscExp())
I = Population("I", 5, IafPscDelta())  # noqa: E741
S = Population("S", 5, SpikeSource([0.1], [0]))


def _plastic(**parameters):
    return Projection(E, I, AllToAll(), 1.0, 0.1, synapse=Tsodyks2(**parameters))


@pytest.mark.parametrize(
    ("delay", "support"),
    [
        (1.5, (15, 15)),
        (0.1, (1, 1)),
        (3000.0, (30000, 30000)),
        (np.array([0.3, 1.0, 0.2]), (2, 10)),
        (np.empty(0), (1, 1)),
        (Uniform(0.5, 2.0), (5, 20)),
        (Uniform(-0.5, 1.46), (1, 15)),
        (Uniform(0.02, 0.14), (1, 1)),
        (TruncatedNormal(1.5, 0.75, 0.8, 3.0), (8, 30)),
        (Normal(1.5, 0.0), (15, 15)),
        # Quantiles of mass 2^-60: 1.5 + 8.773 · 0.75 ms; 10 ms · 60 ln 2; exp(8.773 / 2) ms.
        (Normal(1.5, 0.75), (1, 81)),
        (Exponential(10.0), (1, 4159)),
        (Lognormal(0.0, 0.5), (1, 804)),
    ],
)
def test_delay_support(delay, support):
    assert delay_bounds(delay, 0.1) == support


def test_the_quantile_in_the_table_above():
    # Independent of our closed form: Q(z) by its continued fraction, 2^-60 at z = 8.773.
    z = 8.773
    fraction = z
    for n in range(60, 0, -1):
        fraction = z + n / fraction
    tail = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / fraction
    assert tail == pytest.approx(2.0**-60, rel=0.01, abs=0.0)
    assert Normal(0.0, 1.0).quantile_range(2.0**-60)[1] == pytest.approx(z, rel=1e-4)


def test_delay_steps():
    steps = delay_steps(np.array([[0.1, 0.3], [6553.5, 0.7]]), 0.1)
    assert steps.dtype == np.int32
    np.testing.assert_array_equal(steps, [[1, 3], [65535, 7]])


@pytest.mark.parametrize(
    ("delay", "what", "place"),
    [
        (0.0, "out of range", "delay"),
        (-1.5, "out of range", "delay"),
        (0.05, "out of range", "delay"),
        (np.nan, "finite", "delay"),
        (np.inf, "finite", "delay"),
        (0.25, "grid", "delay"),
        (6553.6, "out of range", "delay"),
        (np.array([0.1, 0.0]), "out of range", "delay[1]"),
        (np.array([0.1, 0.2, 0.25]), "grid", "delay[2]"),
        (Normal(-1.5, 0.75), "mean must be > 0", "delay"),
        (Uniform(-1.0, 0.0), "mean must be > 0", "delay"),
        (Exponential(0.005), "hardly any draw", "delay"),
        (Uniform(0.0, 0.04), "hardly any draw", "delay"),
        (Lognormal(20.0, 1.0), "out of range", "delay"),
    ],
)
def test_bad_delays(delay, what, place):
    with pytest.raises(DescriptionError, match=what) as error:
        delay_bounds(delay, 0.1, where="delay")
    assert place in error.value.where


@pytest.mark.parametrize(
    "projection",
    [
        Projection(E, I, FixedIndegree(3), 1.0, 1.5),
        Projection("E", "I", FixedIndegree(3), Normal(1.0, 0.1), Normal(1.5, 0.75)),
        Projection(E[0:5], I, OneToOne(), np.arange(5.0), np.full(5, 0.1)),
        Projection(E, I, AllToAll(), np.ones((10, 5)), 0.1),
        Projection(E, E, AllToAll(autapses=False), -1.0, 0.1, receptor="ex"),
        Projection(E[0:5], E[5:10], AllToAll(autapses=False), -1.0, 0.1),
        Projection(S, E, ConnectionList([0, 4], [9, 9]), [1.0, -1.0], [0.1, 3.0], weight_bits=12),
        Projection(E, I, AllToAll(), 1.0, 0.1, synapse=Tsodyks2(tau_fac=100.0)),
        Projection(E[2:5], I, AllToAll(), 1.0, 0.1, synapse=Tsodyks2(U=[0.0, 0.5, 1.0])),
        Projection(E, I, AllToAll(), 1.0, 0.1, synapse=Tsodyks2(tau_rec=Uniform(1.0, 9.0))),
    ],
)
def test_good_projections(projection):
    network = Network([E, I, S], [projection])
    made = network.projections[0]
    assert made.pre.stop > 0
    assert made.name.startswith(made.pre.population)


@pytest.mark.parametrize(
    ("projection", "place", "what"),
    [
        (lambda: Projection("X", E, OneToOne(), 1.0, 1.0), "field pre", "unknown population"),
        (lambda: Projection(E, "e ", OneToOne(), 1.0, 1.0), "field post", "did you mean 'E'"),
        (lambda: Projection(E, S, AllToAll(), 1.0, 1.0), "", "takes no input"),
        (lambda: Projection(E, I, AllToAll(), 1.0, 1.0, "ex"), "field receptor", "'delta'|delta"),
        (lambda: Projection(E, E, AllToAll(), 1.0, 1.0, "exc"), "field receptor", "mean 'ex'"),
        (lambda: Projection(E, I, OneToOne(), 1.0, 1.0), "field rule", "as many sources"),
        (
            lambda: Projection(E, I, FixedIndegree(11, multapses=False), 1.0, 1.0),
            "field rule.indegree",
            "without multapses",
        ),
        (
            lambda: Projection(E[0:6], E[5:10], PairwiseBernoulli(0.1, autapses=False), 1.0, 1.0),
            "field rule.autapses",
            "same neurons or disjoint",
        ),
        (
            lambda: Projection(E, I, ConnectionList([10], [0]), 1.0, 1.0),
            "rule.sources[0]",
            "index out",
        ),
        (
            lambda: Projection(E, I, ConnectionList([0], [5]), 1.0, 1.0),
            "rule.targets[0]",
            "index out",
        ),
        (lambda: Projection(E, I, AllToAll(), None, 1.0), "field weight", "missing"),
        (lambda: Projection(E, I, AllToAll(), 1.0), "field delay", "missing"),
        (lambda: Projection(E, I, AllToAll(), np.nan, 1.0), "field weight", "finite"),
        (lambda: Projection(E, I, AllToAll(), -np.inf, 1.0), "field weight", "finite"),
        (lambda: Projection(E, I, AllToAll(), np.ones((5, 10)), 1.0), "weight", "wrong shape"),
        (lambda: Projection(E, I, FixedIndegree(1), np.ones(5), 1.0), "weight", "takes no array"),
        (lambda: Projection(E, I, FixedIndegree(1), 1.0, np.ones(5)), "delay", "takes no array"),
        (lambda: Projection(E, I, AllToAll(), 1.0, 0.0), "field delay", "out of range"),
        (lambda: Projection(E, I, AllToAll(), 1.0, 1.05), "projection 'E->I', field delay", "grid"),
        (lambda: _plastic(U=1.5), "projection 'E->I', field synapse, field U", "<= 1"),
        (lambda: _plastic(U=-0.1), "field synapse, field U", ">= 0"),
        (lambda: _plastic(U=np.nan), "field synapse, field U", "finite"),
        (lambda: _plastic(tau_rec=0.0), "field synapse, field tau_rec", "> 0"),
        (lambda: _plastic(tau_fac=-1.0), "field synapse, field tau_fac", ">= 0"),
        (lambda: _plastic(U=Normal(0.5, 0.2)), "field synapse, field U", "TruncatedNormal"),
        (
            lambda: _plastic(U=np.full((10, 5), 0.5)),
            "field synapse, field U",
            "one value per source neuron, which all of its synapses share",
        ),
        (lambda: _plastic(tau_rec=[1.0, 2.0]), "field tau_rec", "wrong shape"),
        (lambda: _plastic(tau_rec=[*[9.0] * 9, -1.0]), "field tau_rec[9]", "out of range"),
    ],
)
def test_bad_projections(projection, place, what):
    with pytest.raises(DescriptionError, match=what) as error:
        Network([E, I, S], [projection()])
    assert error.value.where.startswith("projection '")
    assert place in error.value.where


def test_the_first_bad_weight_is_named():
    weights = np.ones((10, 5))
    weights[3, 2] = np.nan
    with pytest.raises(DescriptionError) as error:
        Network([E, I], [Projection(E, I, AllToAll(), weights, 1.0)])
    assert error.value.where == "projection 'E->I', field weight[3, 2]"


@pytest.mark.parametrize(
    ("arguments", "place", "what"),
    [
        ((5, E, OneToOne()), "projection, field pre", "not a target"),
        ((E, IafPscExp(), OneToOne()), "projection, field post", "not a target"),
        ((E, I, OneToOne), "projection 'E->I', field rule", "connection rule"),
        ((E, I, "one_to_one"), "projection 'E->I', field rule", "connection rule"),
        ((E, I, OneToOne(), "a"), "projection 'E->I', field weight", "must be a number"),
        ((E, I, OneToOne(), 1.0, [[1]], None, 12, "a/b"), "projection 'a/b', field name", "usable"),
        ((E, I, OneToOne(), 1.0, 1.0, None, -1), "'E->I', field weight_bits", "out of range"),
        ((E, I, OneToOne(), 1.0, 1.0, None, 31), "'E->I', field weight_bits", "out of range"),
    ],
)
def test_wrong_types_are_refused_at_once(arguments, place, what):
    with pytest.raises(DescriptionError, match=what) as error:
        Projection(*arguments)
    assert place in error.value.where


def test_an_unknown_argument_is_refused_with_the_nearest():
    with pytest.raises(DescriptionError, match="did you mean 'weight'"):
        Projection(E, I, OneToOne(), wieght=1.0, delay=1.0)


@pytest.mark.parametrize(
    ("synapse", "hint"),
    [
        ("tsodyks", "did you mean 'Tsodyks'"),
        ("tsodyks2_synapse", "did you mean 'Tsodyks2'"),
        ("static_synapse", "None for static synapses"),
        (Tsodyks2, "an instance, such as Tsodyks2"),
        (0.5, "must be a synapse model; given 0.5"),
        (IafPscExp(), "must be a synapse model"),
    ],
)
def test_what_is_no_synapse_model_is_refused_at_once(synapse, hint):
    with pytest.raises(DescriptionError, match=hint) as error:
        Projection(E, I, OneToOne(), 1.0, 1.0, synapse=synapse)
    assert error.value.where == "projection 'E->I', field synapse"


def test_an_unknown_parameter_of_a_synapse_is_refused_with_the_nearest():
    with pytest.raises(DescriptionError, match="did you mean 'tau_rec'"):
        Tsodyks2(tau_rek=1.0)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"tau_rise": 100.0}, "field tau_rise: must be below tau_decay"),
        ({"tau_rise": Uniform(1.0, 200.0)}, "must be below tau_decay in every draw"),
        ({"alpha": 0.0}, "field alpha.*allowed: > 0"),
        ({"alpha": np.full(10, 51.0)}, "tau_rise is too large; given 102.0; allowed: <= 100"),
        ({"alpha": Uniform(1.0, 60.0)}, "alpha \\* tau_rise is too large; given 120"),
    ],
)
def test_gating_of_nmda_receptors_that_is_refused(given, problem):
    with pytest.raises(DescriptionError, match=problem):
        Network([E, I], [Projection(E, I, AllToAll(), 1.0, 0.1, synapse=NmdaSynapse(**given))])


def test_factors_of_nmda_gating_have_a_bound():
    # gamma(1 - r) (alpha tau_rise)^r and alpha tau_rise/(1 - r); r of the worst source or draw
    assert NmdaSynapse(alpha=20.0).max_factor() == pytest.approx(40.0**0.02 * 1.0117, rel=1e-3)
    assert NmdaSynapse(alpha=0.05).max_factor() == pytest.approx(0.1 / 0.98)
    drawn = NmdaSynapse(alpha=Uniform(0.01, 0.05), tau_decay=Uniform(50.0, 100.0))
    assert drawn.max_factor() == pytest.approx(0.1 / 0.96)
