"""Stimuli and recordings."""

import math

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    ConstantCurrent,
    GammaInput,
    IafPscDelta,
    IafPscExp,
    Network,
    NoiseCurrent,
    Normal,
    Piecewise,
    PoissonInput,
    Population,
    PopulationView,
    RecordSpikes,
    RecordState,
    Sine,
    SineCurrent,
    SpikeInput,
    SpikeSource,
    StepCurrent,
)

E = Population("E", 4, IafPscExp())
D = Population("D", 3, IafPscDelta())
S = Population("S", 5, SpikeSource([0.1], [0]))
NAN, INF = math.nan, math.inf


def network(*stimuli, recordings=None):
    return Network([E, D, S], stimuli=stimuli, recordings=recordings)


@pytest.mark.parametrize(
    "stimulus",
    [
        PoissonInput(E, 8000.0, 87.8),
        PoissonInput("E", [0.0, 1.0, 2.0, 3.0], -87.8, receptor="ex", start=10.0, stop=20.0),
        PoissonInput(E[1:3], Piecewise([0.0, 5.0], [10.0, 0.0]), 1.0),
        PoissonInput(E[1:3], Piecewise([5.0], [[10.0, 0.0]]), 1.0, name="drive"),
        PoissonInput(E, Sine(500.0, 8.0), 1.0),
        PoissonInput(E[1:3], Sine([5.0, -6.0], [8.0, 0.0], -90.0, [0.0, 4.0]), 1.0, stop=4.0),
        PoissonInput(E, 500.0, 1.0, correlation=1.0),
        PoissonInput(E, Piecewise([5.0, 7.0], [2.0, 3.0]), 1.0, correlation=0.1),
        PoissonInput(E, Sine(500.0, 8.0), 1.0, correlation=0.1),
        GammaInput(E, 500.0, 1.0, 1.0),
        GammaInput(E[1:3], Sine([5.0, -6.0], 8.0), 1.0, 2.5, n=10_000, start=2.0, name="gamma"),
        GammaInput(E, Piecewise([5.0], [[1.0, 2.0, 3.0, 4.0]]), -1.0, 1e6, 3, "in"),
        SpikeInput(D, [0.1, 0.1, 0.1], [0, 0, 2], 3.0),
        SpikeInput(E, [], [], 3.0),
        SpikeInput(E, [0.2, 0.1], [0, 3], [1.0, -2.0]),
        ConstantCurrent(E, 300.0),
        ConstantCurrent(D[0:2], [300.0, -300.0], start=1.0, stop=2.0),
        StepCurrent(E, [1.0, 2.0], [100.0, 0.0]),
        StepCurrent(E, [1.0], [[100.0, 0.0, 1.0, 2.0]]),
        SineCurrent(E, 100.0, 5000.0),
        SineCurrent(E[1:3], [1.0, -2.0], [0.0, 8.0], [-720.0, 1.0], [3.0, -4.0], 1.0, 2.0),
        NoiseCurrent(E, 0.0, 10.0),
        NoiseCurrent(E, [0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0], interval=1.0),
    ],
)
def test_good_stimuli(stimulus):
    made = network(stimulus).stimuli[0]
    assert made.target.stop > 0
    assert type(made) is type(stimulus)


@pytest.mark.parametrize(
    ("stimulus", "place", "what"),
    [
        (PoissonInput("X", 1.0, 1.0), "field target", "unknown population"),
        (PoissonInput(PopulationView("E", 2, 5), 1.0, 1.0), "field target", "has 4 neurons"),
        (PoissonInput(S, 1.0, 1.0), "", "takes no input"),
        (PoissonInput(E, 1.0, 1.0, receptor="delta"), "field receptor", "unknown receptor"),
        (PoissonInput(D, 1.0, 1.0, receptor="ex"), "field receptor", "unknown receptor"),
        (PoissonInput(E, -1.0, 1.0), "field rate", "out of range"),
        (PoissonInput(E, NAN, 1.0), "field rate", "finite"),
        (PoissonInput(E, [1.0, 2.0], 1.0), "field rate", "wrong shape"),
        (PoissonInput(E, 1.0, INF), "field weight", "finite"),
        (PoissonInput(E, 1.0, 1.0, start=-1.0), "field start", "out of range"),
        (PoissonInput(E, 1.0, 1.0, correlation=1.1), "field correlation", "allowed: >= 0 and <= 1"),
        (PoissonInput(E, 1.0, 1.0, correlation=-0.1), "field correlation", "out of range"),
        (PoissonInput(E, np.ones(4), 1.0, correlation=0.1), "field rate", "common to all target"),
        (
            PoissonInput(E, Sine(1.0, 1.0, np.ones(4)), 1.0, correlation=0.1),
            "field rate.phase",
            "an array, but the neurons are correlated",
        ),
        (
            PoissonInput(E, Piecewise([1.0], np.ones((1, 4))), 1.0, correlation=0.1),
            "field rate.values",
            "correlated",
        ),
        (PoissonInput(E, 1.0, 1.0, start=0.05), "field start", "grid"),
        (PoissonInput(E, 1.0, 1.0, start=INF), "field start", "finite"),
        (PoissonInput(E, 1.0, 1.0, start=1.0, stop=1.0), "field stop", "out of range"),
        (PoissonInput(E, 1.0, 1.0, stop=1.05), "field stop", "grid"),
        (PoissonInput(E, 1.0, 1.0, stop=NAN), "field stop", "finite"),
        (PoissonInput(E, Piecewise([1.0, 1.0], [1.0, 2.0]), 1.0), "rate.times[1]", "increase"),
        (PoissonInput(E, Piecewise([-1.0], [1.0]), 1.0), "rate.times[0]", "out of range"),
        (PoissonInput(E, Piecewise([0.05], [1.0]), 1.0), "rate.times[0]", "grid"),
        (PoissonInput(E, Piecewise([], []), 1.0), "rate.times", "at least one"),
        (PoissonInput(E, Piecewise([1.0], [1.0, 2.0]), 1.0), "rate.values", "wrong shape"),
        (PoissonInput(E, Piecewise([1.0], [[1.0, 2.0]]), 1.0), "rate.values", "wrong shape"),
        (PoissonInput(E, Piecewise([1.0], [-1.0]), 1.0), "rate.values[0]", "out of range"),
        (PoissonInput(E, Sine(NAN, 1.0), 1.0), "field rate.amplitude", "finite"),
        (PoissonInput(E, Sine(1.0, -1.0), 1.0), "field rate.frequency", "out of range"),
        (PoissonInput(E, Sine(1.0, 5001.0), 1.0), "field rate.frequency", "allowed: >= 0 and <= 5"),
        (PoissonInput(E, Sine(1.0, 1.0, [1.0]), 1.0), "field rate.phase", "wrong shape"),
        (PoissonInput(E, Sine(1.0, 1.0, 0.0, -1.0), 1.0), "field rate.offset", "given -1.0"),
        (PoissonInput(E, Sine(1.0, 1.0), 1.0, stop=0.05), "field stop", "grid"),
        (GammaInput(E, 1.0, 1.0, 0.9), "field order", "out of range; given 0.9; allowed: >= 1 and"),
        (GammaInput(E, 1.0, 1.0, 1.1e6), "field order", "out of range"),
        (GammaInput(E, -1.0, 1.0, 2.0), "field rate", "out of range"),
        (GammaInput(E, Sine(1.0, 1.0, 0.0, -1.0), 1.0, 2.0), "field rate.offset", "given -1.0"),
        (GammaInput(E, 1.0, 1.0, 2.0, stop=0.05), "field stop", "grid"),
        (GammaInput(D, 1.0, 1.0, 2.0, receptor="ex"), "field receptor", "unknown receptor"),
        (SpikeInput(E, [0.0], [0], 1.0), "field times[0]", "out of range"),
        (SpikeInput(E, [0.1, 0.25], [0, 0], 1.0), "field times[1]", "grid"),
        (SpikeInput(E, [0.1], [4], 1.0), "field neurons[0]", "index out of range"),
        (SpikeInput(E, [0.1], [0], NAN), "field weight", "finite"),
        (SpikeInput(S, [0.1], [0], 1.0), "", "takes no input"),
        (ConstantCurrent(S, 1.0), "", "takes no current"),
        (ConstantCurrent(E, NAN), "field amplitude", "finite"),
        (ConstantCurrent(E, [1.0]), "field amplitude", "wrong shape"),
        (ConstantCurrent(E, 1.0, stop=0.0), "field stop", "out of range"),
        (StepCurrent(S, [1.0], [1.0]), "", "takes no current"),
        (StepCurrent(E, [2.0, 1.0], [1.0, 1.0]), "amplitudes.times[1]", "increase"),
        (StepCurrent(E, [1.0], [INF]), "amplitudes.values[0]", "finite"),
        (SineCurrent(S, 1.0, 1.0), "", "takes no current"),
        (SineCurrent(E, NAN, 1.0), "field amplitude", "finite"),
        (SineCurrent(E, 1.0, -1.0), "field frequency", "given -1.0; allowed: >= 0 and <= 5000"),
        (SineCurrent(E, 1.0, [1.0, 1.0, 5001.0, 1.0]), "field frequency[2]", "out of range"),
        (SineCurrent(E, 1.0, 1.0, phase=INF), "field phase", "finite"),
        (SineCurrent(E, 1.0, 1.0, offset=[1.0, 2.0]), "field offset", "wrong shape"),
        (SineCurrent(E, 1.0, 1.0, start=0.05), "field start", "grid"),
        (SineCurrent(E, 1.0, 1.0, stop=0.0), "field stop", "out of range"),
        (NoiseCurrent(S, 1.0, 1.0), "", "takes no current"),
        (NoiseCurrent(E, 1.0, -1.0), "field sd", "out of range"),
        (NoiseCurrent(E, NAN, 1.0), "field mean", "finite"),
        (NoiseCurrent(E, 1.0, 1.0, interval=0.0), "field interval", "out of range"),
        (NoiseCurrent(E, 1.0, 1.0, interval=1e-9), "field interval", "given 1e-09; allowed: mult"),
        (NoiseCurrent(E, 1.0, 1.0, interval=0.05), "field interval", "such as 0.1 ms"),
        (NoiseCurrent(E, 1.0, 1.0, interval=0.15), "field interval", "grid"),
    ],
)
def test_bad_stimuli(stimulus, place, what):
    with pytest.raises(DescriptionError, match=what) as error:
        network(stimulus)
    assert place in error.value.where
    assert type(stimulus).__name__ in error.value.where


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("n", "stimulus 'n' (NoiseCurrent onto 'E', field interval)"),
        (None, "NoiseCurrent onto 'E', field interval"),
    ],
)
def test_an_interval_off_the_grid_is_that_of_a_named_stimulus(name, where):
    with pytest.raises(DescriptionError, match=r"such as 0\.1 ms") as error:
        NoiseCurrent(E, 1.0, 1.0, interval=0.05, name=name).interval_steps(0.1)
    assert error.value.where == where


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: PoissonInput(3, 1.0, 1.0), "not a target"),
        (lambda: PoissonInput(E, Normal(1.0, 1.0), 1.0), "no distribution"),
        (lambda: PoissonInput(E, 1.0, Normal(1.0, 1.0)), "must be a number"),
        (lambda: PoissonInput(E, 1.0, 1.0, name="a/b"), "not a usable name"),
        (lambda: PoissonInput(E, 1.0, 1.0, strat=1.0), "did you mean 'start'"),
        (lambda: GammaInput(E, 1.0, 1.0, 2.0, 0), "field n: out of range; given 0"),
        (lambda: GammaInput(E, 1.0, 1.0, 2.0, 1.5), "field n: must be an integer"),
        (lambda: GammaInput(E, 1.0, 1.0, "2"), "field order: must be a number"),
        (lambda: GammaInput(E, 1.0, 1.0, 2.0, N=2), "did you mean 'n'"),
        (lambda: SpikeInput(E, [0.1], [0, 1], 1.0), "wrong shape"),
        (lambda: SpikeInput(E, [0.1], [0], [1.0, 2.0]), "wrong shape"),
        (lambda: ConstantCurrent(E, "1"), "must be a number"),
        (lambda: SineCurrent(E, 1.0, "5 Hz"), "field frequency: must be a number"),
        (lambda: Sine(1.0, None), "Sine, field frequency: must be a number"),
        (lambda: Sine(1.0, 1.0, fase=1.0), "did you mean 'phase'"),
        (lambda: SineCurrent(E, 1.0, Normal(1.0, 1.0)), "no distribution"),
        (lambda: SineCurrent(E, 1.0, 1.0, phases=1.0), "did you mean 'phase'"),
        (lambda: NoiseCurrent(E, 0.0, 1.0, interval="dt"), "must be a number"),
    ],
)
def test_wrong_types_are_refused_at_once(make, what):
    with pytest.raises(DescriptionError, match=what):
        make()


def test_events_are_sorted_with_their_weights():
    made = SpikeInput(E, [0.3, 0.1, 0.1], [0, 3, 2], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(made.times, [0.1, 0.1, 0.3])
    np.testing.assert_array_equal(made.neurons, [2, 3, 0])
    np.testing.assert_array_equal(made.weight, [3.0, 2.0, 1.0])
    assert not any(one.flags.writeable for one in (made.times, made.neurons, made.weight))


def test_largest_rate_and_interval():
    assert PoissonInput(E, Piecewise([1.0], [[1.0, 2.0, 7.0, 3.0]]), 1.0).max_rate() == 7.0
    assert PoissonInput(E, 3, 1.0).max_rate() == 3.0
    assert PoissonInput(E, Sine(-5.0, 1.0, offset=3.0), 1.0).max_rate() == 8.0
    sines = Sine([1.0, -9.0, 0.0, 2.0], 1.0, offset=[8.0, 1.0, 9.5, 8.0])
    assert PoissonInput(E, sines, 1.0).max_rate() == 10.0
    assert GammaInput(E, sines, 1.0, 2.0, 7).max_rate() == 70.0
    assert NoiseCurrent(E, 0.0, 1.0).interval_steps(0.1) == 1
    assert NoiseCurrent(E, 0.0, 1.0, interval=0.3).interval_steps(0.1) == 3


def test_names_of_stimuli_are_unique():
    with pytest.raises(DescriptionError, match="duplicate name of a stimulus"):
        network(PoissonInput(E, 1.0, 1.0, name="a"), ConstantCurrent(E, 1.0, name="a"))


def test_all_spikes_are_recorded_by_default():
    assert network().recordings == (RecordSpikes(E), RecordSpikes(D), RecordSpikes(S))
    assert network(recordings=[]).recordings == ()


def test_state_recordings_get_names():
    made = network(
        recordings=[
            RecordState("E", "V_m"),
            RecordState(E[0:2], ["V_m", "I_syn_ex"], interval=1.0),
            RecordState(D, "V_m", interval=0.3, name="slow"),
        ]
    )
    assert [one.name for one in made.recordings] == ["E", "E_0_2", "slow"]
    assert [one.variables for one in made.recordings][:2] == [("V_m",), ("V_m", "I_syn_ex")]
    assert [one.interval_steps(0.1) for one in made.recordings] == [1, 10, 3]


@pytest.mark.parametrize(
    ("recordings", "what"),
    [
        ([RecordSpikes("X")], "unknown population"),
        ([RecordState(E, "v_m")], "did you mean 'V_m'"),
        ([RecordState(S, "V_m")], "unknown state variable"),
        ([RecordState(E, [])], "no variable"),
        ([RecordState(E, ["V_m", "V_m"])], "named twice"),
        ([RecordState(E, "V_m", interval=0.0)], "out of range"),
        ([RecordState(E, "V_m", interval=-1.0)], "out of range"),
        (
            [RecordState(E, "V_m", interval=1e-9)],
            "out of range; given 1e-09; allowed: multiples of",
        ),
        ([RecordState(E, "V_m", interval=0.25)], "grid"),
        ([RecordState(E, "V_m"), RecordState(E, "I_syn_ex")], "duplicate name of a state"),
        ([RecordState(E, "V_m", name="a"), RecordState(D, "V_m", name="a")], "duplicate name"),
        ([RecordSpikes(E), RecordSpikes(E[0:2])], "recorded twice"),
        ([RecordSpikes(E[0:3]), RecordSpikes(D), RecordSpikes(E[2:4])], "recorded twice"),
        ([PoissonInput(E, 1.0, 1.0)], "does not belong"),
    ],
)
def test_bad_recordings(recordings, what):
    with pytest.raises(DescriptionError, match=what):
        network(recordings=recordings)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: RecordSpikes(3), "target: not a target"),
        (lambda: RecordState(None, "V_m"), "target: not a target"),
        (lambda: RecordState(E, "V_m", name="a/b"), "not a usable name"),
        (lambda: RecordState(E, "V_m", interval="1"), "interval: must be a number"),
    ],
)
def test_wrong_types_in_recordings(make, what):
    with pytest.raises(DescriptionError, match=what):
        make()


def test_disjoint_spike_recordings_are_fine():
    made = network(recordings=[RecordSpikes(E[2:4]), RecordSpikes(E[0:2])])
    assert [one.target.start for one in made.recordings] == [2, 0]
