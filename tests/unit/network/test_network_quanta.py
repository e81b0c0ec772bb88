"""Fixed-point scales: by hand, for the reference workloads, and as a property of any network."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distsnn.errors import DescriptionError
from distsnn.network import (
    STDP,
    AllToAll,
    ConnectionList,
    FixedIndegree,
    FixedTotalNumber,
    IafPscDelta,
    IafPscExp,
    Lognormal,
    Network,
    Normal,
    OneToOne,
    Piecewise,
    PoissonInput,
    Population,
    Projection,
    SpikeInput,
    SpikeSource,
    TruncatedNormal,
    Tsodyks2,
    Uniform,
)
from distsnn.network.magnitudes import NEGLIGIBLE, magnitudes_of
from distsnn.network.quanta import WeightQuanta, choose_quanta, to_integers

EX, IN = ("E", "ex"), ("E", "in")
E = Population("E", 100, IafPscExp())


def of(*projections, stimuli=(), populations=(E,)):
    return choose_quanta(Network(populations, projections, stimuli))


def test_a_constant_alone_has_twenty_bits():
    # floor(log2(2 · 3 · 2^-20)) = floor(-17.4)
    found = of(Projection(E, E, OneToOne(), 3.0, 1.0))
    assert found.exponent == {EX: -18, IN: 0}
    assert found.bound == {EX: 3.0 * 2**18, IN: 0.0}
    assert found.shift == (0,)
    assert found.quantum("E", "ex") == 2.0**-18
    assert found.field_bits == (21,)  # 786432 < 2^20


@pytest.mark.parametrize(
    ("weight", "exponent"), [(1.0, -19), (0.999, -20), (2.0, -18), (-4.0, -17), (87.8, -13)]
)
def test_powers_of_two_are_exact(weight, exponent):
    found = of(Projection(E, E, OneToOne(), weight, 1.0))
    assert found.exponent[EX if weight > 0 else IN] == exponent


def test_a_drawn_weight_has_ten_bits_and_a_finer_neighbour_a_shift():
    # Alone: floor(log2(2 · 87.8 · 2^-10)) = -3. Beside a constant of 87.8: 2^-13, shifted by 10.
    drawn = Projection(E, E, OneToOne(), TruncatedNormal(87.8, 8.78, low=0.0), 1.0)
    alone = of(drawn)
    assert (alone.exponent[EX], alone.shift) == (-3, (0,))
    beside = of(drawn, Projection(E, E, OneToOne(), 87.8, 1.0))
    assert (beside.exponent[EX], beside.shift) == (-13, (10, 0))
    assert alone.field_bits[0] == beside.field_bits[0] == 11


def test_a_scaled_weight_is_rounded_more_finely_than_it_is_stored():
    # 2^-3 stored, as static weights are; 2^-13 for what a spike adds
    drawn = Normal(87.8, 8.8)
    found = of(Projection(E, E, OneToOne(), drawn, 1.0, synapse=Tsodyks2()))
    assert (found.exponent[EX], found.shift) == (-13, (10,))
    static = of(Projection(E, E, OneToOne(), drawn, 1.0))
    assert found.field_bits == static.field_bits
    # but not at the price of wider rows
    crowded = of(Projection(E, E, FixedIndegree(30_000), drawn, 1.0, synapse=Tsodyks2()))
    assert -13 < crowded.exponent[EX] == -3 - crowded.shift[0] <= -3


def test_weight_bits_override():
    drawn = Normal(87.8, 8.78)
    found = of(Projection(E, E, OneToOne(), drawn, 1.0, receptor="ex", weight_bits=16))
    assert (found.exponent[EX], found.shift) == (-9, (0,))
    two = of(
        Projection(E, E, OneToOne(), 87.8, 1.0),
        Projection(E, E, OneToOne(), 87.8, 1.0, weight_bits=8),
        Projection(E, E, OneToOne(), np.full(100, 87.8), 1.0, weight_bits=8),
    )
    assert (two.exponent[EX], two.shift) == (-13, (0, 12, 12))


@pytest.mark.parametrize("weight", [64.0, Uniform(50.0, 64.0), np.full(100, 64.0)])
def test_bits_of_learnt_weights_are_those_of_the_first_ones_alone(weight):
    def learnt(bits):
        one = Projection(E, E, OneToOne(), weight, 1.0, synapse=STDP(), weight_bits=bits)
        return of(one)

    free, coarse, fine = (learnt(bits) for bits in (None, 3, 30))
    assert coarse.exponent == free.exponent
    assert coarse.exponent[EX] + coarse.shift[0] == free.exponent[EX] + 17
    assert fine.exponent[EX] == free.exponent[EX] - 10


def test_a_large_sum_makes_constants_coarser_but_not_beyond_ten_bits():
    big = Population("B", 2_000_000, IafPscDelta())

    def exponent(indegree, **options):
        one = Projection(big, big, FixedIndegree(indegree), 1.0, 1.0, **options)
        return of(one, populations=[big]).exponent["B", "delta"]

    # Twice the sum fits 2^31 quanta of 2^-19 up to 2^11 synapses.
    assert exponent(2048) == -19
    assert exponent(2049) == -18
    assert exponent(1_000_000) == -10
    assert exponent(1_900_000) == -9
    assert exponent(100_000_000) == -9  # 64-bit rows take what is left
    assert exponent(1_900_000, weight_bits=20) == -19


def test_given_arrays_keep_twenty_bits():
    weights = np.full((100, 100), 1.0)
    found = of(Projection(E, E, AllToAll(), weights * 0.75, 1.0))
    assert found.exponent[EX] == -20
    both = of(
        Projection(E, E, AllToAll(), weights, 1.0),
        Projection(E, E, FixedTotalNumber(10**8), 1.0, 1.0),
    )
    assert both.exponent[EX] == -19
    assert both.bound[EX] * 2 > 2**31


def test_sums_of_arrays_are_exact():
    weights = np.zeros((100, 100))
    weights[:, 7] = 1.0
    weights[3, 9] = -4.0
    found = of(Projection(E, E, AllToAll(), weights, 1.0))
    assert found.exponent == {EX: -17, IN: -17}
    assert found.bound == {EX: 100 * 2.0**17, IN: 4 * 2.0**17}
    explicit = of(Projection(E, E, ConnectionList([0, 1, 2], [5, 5, 6]), [1.0, 2.0, -2.5], 1.0))
    assert explicit.exponent == {EX: -18, IN: -18}
    assert explicit.bound == {EX: 3 * 2.0**18, IN: 2.5 * 2.0**18}
    single = of(Projection(E, E, OneToOne(), np.linspace(0.0, 1.0, 100), 1.0))
    assert single.bound[EX] == 2.0**19
    empty = of(Projection(E, E, ConnectionList([], []), [], 1.0))
    assert (empty.exponent, empty.shift, empty.field_bits) == ({EX: 0, IN: 0}, (0,), (1,))


def test_receptors_that_one_projection_can_reach_share_a_quantum():
    separate = of(
        Projection(E, E, OneToOne(), TruncatedNormal(87.8, 8.78, low=0.0), 1.0),
        Projection(E, E, OneToOne(), TruncatedNormal(-351.0, 35.1, high=0.0), 1.0),
    )
    assert separate.exponent == {EX: -3, IN: -1}
    tied = of(
        Projection(E, E, OneToOne(), Normal(87.8, 8.78), 1.0),
        Projection(E, E, OneToOne(), TruncatedNormal(-351.0, 35.1, high=0.0), 1.0),
    )
    assert tied.exponent == {EX: -3, IN: -3}
    assert tied.shift == (0, 2)
    # A sign that no draw ever takes adds nothing to that receptor's sum.
    alone = of(Projection(E, E, OneToOne(), Normal(87.8, 8.78), 1.0))
    assert alone.bound[IN] == 0.0
    named = of(Projection(E, E, OneToOne(), Normal(87.8, 8.78), 1.0, receptor="ex"))
    assert named.exponent == {EX: -3, IN: 0}


def test_stimuli_count():
    # rate 1e5/s: λ = 10 a step; 10 + 8·√10 + 16 = 51.298 spikes of weight 1.
    poisson = of(stimuli=[PoissonInput(E, Piecewise([0.0, 1.0], [1e5, 1e3]), 1.0)])
    assert poisson.exponent[EX] == -19
    assert poisson.bound[EX] == pytest.approx(51.2982 * 2**19)
    events = SpikeInput(E, [0.1, 0.1, 0.1, 0.2], [4, 4, 5, 4], [1.0, 2.0, 2.5, 1.0])
    given_ = of(stimuli=[events])
    assert given_.exponent[EX] == -18
    assert given_.bound[EX] == 3 * 2.0**18
    none = of(stimuli=[SpikeInput(E, [], [], 2.0)])
    assert none.exponent[EX] == -18
    assert none.bound[EX] == 0.0


def test_zero_weights_need_no_precision():
    found = of(Projection(E, E, OneToOne(), 0.0, 1.0), Projection(E, E, OneToOne(), 1.0, 1.0))
    assert found.exponent[EX] == -19
    assert found.shift == (0, 0)


def test_populations_without_input_have_quanta_too():
    source = Population("S", 3, SpikeSource([0.1], [0]))
    found = of(populations=[E, source])
    assert found.exponent == {EX: 0, IN: 0}


def test_weights_that_no_scale_can_hold_together_are_refused():
    with pytest.raises(DescriptionError, match="differ too much") as error:
        of(
            Projection(E, E, OneToOne(), 1e-12, 1.0),
            Projection(E, E, OneToOne(), 1e12, 1.0),
        )
    assert error.value.where == "population 'E', receptor 'ex'"


@pytest.mark.parametrize("receptors", ["by sign", "named"])
def test_microcircuit(receptors):
    """PD14, layer 2/3 E: 4000 excitatory, 1000 inhibitory synapses, Poisson input."""
    neurons = Population("E", 20683, IafPscExp(tau_syn_ex=0.5, tau_syn_in=0.5))
    named = receptors == "named"
    options = ({"receptor": "ex"}, {"receptor": "in"}) if named else ({}, {})
    excitatory, inhibitory = Normal(87.8, 8.78), Normal(-351.0, 35.1)
    found = of(
        Projection(neurons, neurons, FixedTotalNumber(4000 * 20683), excitatory, 1.5, **options[0]),
        Projection(neurons, neurons, FixedTotalNumber(1000 * 20683), inhibitory, 0.8, **options[1]),
        stimuli=[PoissonInput(neurons, 8.0 * 1600, 87.8)],
        populations=[neurons],
    )
    for bound in found.bound.values():
        assert bound * 2 <= 2**31  # int32 rows, with a margin of 2
    assert all(bits <= 15 for bits in found.field_bits)
    for weight, s, receptor in ((87.8, found.shift[0], EX), (351.0, found.shift[1], IN)):
        k = found.exponent[receptor]
        assert 2.0 ** (k + s) <= 2 * weight * 2.0**-10
    # The Poisson weight is a constant: better than 2^-16 of itself.
    assert abs(int(to_integers(87.8, found.exponent[EX])) * found.quantum(*EX) / 87.8 - 1) < 2**-16


def test_brunel():
    """Brunel (2000), order 2500: 1000 synapses of 0.1 mV, 250 of -0.5 mV, Poisson input."""
    neurons = Population("E", 12500, IafPscDelta(tau_m=20.0))
    found = of(
        Projection(neurons[0:10000], neurons, FixedIndegree(1000), 0.1, 1.5),
        Projection(neurons[10000:], neurons, FixedIndegree(250), -0.5, 1.5),
        stimuli=[PoissonInput(neurons, 20000.0, 0.1)],
        populations=[neurons],
    )
    # 2^-23 would give 0.1 mV 20 bits; the sum of 228 mV needs 2^-22.
    assert found.exponent == {("E", "delta"): -22}
    assert found.bound["E", "delta"] * 2 <= 2**31
    assert found.shift == (0, 0)


def test_heavy_tails_do_not_cost_precision():
    found = of(Projection(E, E, FixedTotalNumber(10**5), Lognormal(0.0, 1.0), 1.0))
    # Weights below 1/8 are 0.1 % of the total, those below 1/4 0.9 %: 2 · 2^-3 · 2^-10.
    assert found.exponent[EX] == -12
    assert found.bound[EX] * 2 <= 2**31


@pytest.mark.parametrize("shift", [0, 3])
def test_to_integers_rounds_half_to_even(shift):
    weights = np.array([0.0, 1.0, -1.0, 0.5, 1.5, -2.5, 1e6]) * 2.0 ** (shift - 4)
    integers = to_integers(weights, -4, shift)
    assert integers.dtype == np.int64
    np.testing.assert_array_equal(integers >> shift, [0, 1, -1, 0, 2, -2, 1_000_000])
    assert not (integers % 2**shift).any()


def test_quanta_round_trip_through_json():
    found = of(
        Projection(E, E, OneToOne(), Normal(1.0, 1.0), 1.0),
        Projection(E, E, OneToOne(), -3.0, 1.0),
    )
    assert WeightQuanta.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@settings(max_examples=200, deadline=None)
@given(
    constant=st.floats(1e-3, 1e3),
    mean=st.floats(-1e3, 1e3),
    sd=st.floats(1e-3, 1e3),
    indegree=st.integers(0, 20000),
    bits=st.one_of(st.none(), st.integers(4, 24)),
)
def test_every_weight_keeps_its_precision(constant, mean, sd, indegree, bits):
    drawn = Normal(mean, sd)
    found = of(
        Projection(E, E, FixedIndegree(indegree), constant, 1.0),
        Projection(E, E, FixedIndegree(indegree), drawn, 1.0, weight_bits=bits),
    )
    k = found.exponent[EX]
    assert all(s >= 0 for s in found.shift)
    assert abs(to_integers(constant, k) * 2.0**k - constant) <= constant * 2.0**-10
    magnitudes = magnitudes_of(drawn)
    for weight in np.linspace(mean - 4 * sd, mean + 4 * sd, 17):
        rounded = math.ldexp(int(to_integers(weight, k, found.shift[1])), k)
        limit = drawn.scale() * 2.0 ** -(bits or 10)
        if bits is None and abs(weight) >= 2.0**magnitudes.least:
            limit = min(limit, abs(weight) * 2.0**-10)
        assert abs(rounded - weight) <= limit * (1 + 1e-12)
    # The largest shift that keeps to it: one more would not do.
    if bits is None:
        assert k + found.shift[1] + 9 == magnitudes.least
        assert magnitudes.below(magnitudes.least)[1] <= NEGLIGIBLE
        assert magnitudes.below(magnitudes.least + 1)[1] > NEGLIGIBLE
        assert max(one.part for one in found.errors.values()) <= NEGLIGIBLE
    else:
        assert 2.0 ** (k + found.shift[1] + 1) > 2 * limit


@pytest.mark.parametrize("given", ["array", "constants"])
def test_a_range_that_no_sum_can_hold_is_refused_with_figures(given):
    numbers = np.arange(100)
    weights = np.where(numbers < 80, 1e-30, 1e9)
    projections = [Projection(E, E, ConnectionList(numbers, numbers), weights, 1.0, name="wide")]
    if given == "constants":
        tiny = Projection(E, E, FixedIndegree(3), 1e-30, 1.0, name="wide")
        projections = [tiny, Projection(E, E, FixedIndegree(3), 1e9, 1.0)]
    with pytest.raises(DescriptionError) as error:
        of(*projections)
    share, part = ("80", "4e-37") if given == "array" else ("100", "100")
    assert f"{share} % of the weights ({part} % of their total) may have a relative" in str(
        error.value
    )
    assert "in projection 'wide'" in str(error.value)
    assert "weight_bits" in error.value.hint
    if given == "array":
        # weight_bits means what it says: 2^-20 of the largest
        found = of(Projection(E, E, ConnectionList(numbers, numbers), weights, 1.0, weight_bits=20))
        assert found.exponent[EX] == 10
        assert (found.errors["E->E"].largest, found.errors["E->E"].share) == (1.0, 0.8)


def test_the_whole_range_of_floats_is_refused_too():
    numbers = np.arange(100)
    weights = np.where(numbers < 50, 5e-324, 1.7e308)
    with pytest.raises(DescriptionError, match="50 % of the weights"):
        of(Projection(E, E, ConnectionList(numbers, numbers * 0), weights, 1.0))


def test_listed_weights_are_finer_as_long_as_sums_fit_narrow_rows():
    numbers = np.arange(100)
    # 1 of 1000 does not matter in an array of all pairs, but nothing is gained by dropping it here
    weights = np.where(numbers[:, None] == 7, 1e6, np.full((100, 100), 1e6))
    weights[3, 3] = 3.0
    dense = of(Projection(E, E, AllToAll(), weights, 1.0))
    assert dense.exponent[EX] == 0
    listed = of(
        Projection(
            E,
            E,
            ConnectionList(np.repeat(numbers, 100), np.tile(numbers, 100)),
            weights.ravel(),
            1.0,
        )
    )
    # a sum of 1e8 has room for 2^30 quanta
    assert listed.exponent[EX] == -3
    assert listed.bound[EX] * 2 <= 2**31


def test_events_of_a_stimulus_keep_their_values_too():
    weights = np.where(np.arange(100) == 3, 1e9, 50.0)
    events = SpikeInput(E, np.full(100, 1.0), np.arange(100), weights)
    found = of(stimuli=[events])
    assert found.quantum(*EX) / 2 <= 50.0 * 2**-10
