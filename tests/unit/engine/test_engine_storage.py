"""How synapses are stored: word layouts, sets of constants, pull or push."""

import numpy as np
import pytest
from decoded import layouts, scales, synapses

from distsnn.engine import storage
from distsnn.engine.storage import RowSetPlan, plan_row_sets
from distsnn.errors import DescriptionError
from distsnn.network import (
    STDP,
    DopamineSTDP,
    Exponential,
    FixedIndegree,
    FixedTotalNumber,
    IafPscDelta,
    IafPscExp,
    Network,
    Normal,
    OneToOne,
    Population,
    Projection,
    Tsodyks2,
    Uniform,
)

E = Population("E", 1000, IafPscExp())
I = Population("I", 300, IafPscExp())  # noqa: E741


def _plans(*projections: Projection, ranks: int = 1, **options) -> list[RowSetPlan]:
    network = Network([E, I], projections)
    layout = layouts(network, ranks)[0]
    plans = plan_row_sets(layout, scales(network), **options)
    for plan in plans:
        used = plan.target_bits + plan.delay_bits + plan.field_bits
        assert used <= plan.word_bits or plan.procedural
        assert plan.target_bits == layout.target_bits
        assert (plan.field_bits == 0) == (plan.weight is not None)
        # what a word cannot hold must be either common to all or kept in runs
        assert plan.pull or plan.delay is not None or plan.delay_bits > 0 or plan.procedural
    # every drawn projection is in one set
    members = sorted(index for plan in plans for index in plan.projections)
    assert members == list(range(len(projections)))
    return plans


def _dense(weight, delay, pre=E, post=E, n=400_000, **more) -> Projection:
    return Projection(pre, post, FixedTotalNumber(n), weight=weight, delay=delay, **more)


def test_equal_constants_share_a_set_and_words_without_weights() -> None:
    (plan,) = _plans(_dense(2.0, 1.5), _dense(2.0, 1.5, pre=I))
    assert (plan.word_bits, plan.field_bits, plan.delay) == (16, 0, 15)
    assert plan.weight is not None
    two = _plans(_dense(2.0, 1.5), _dense(2.0, 0.5, pre=I))
    assert [one.delay for one in two] == [15, 5]
    one = _plans(_dense(2.0, 1.5), _dense(-2.0, 1.5, pre=I))
    assert sorted(plan.plane for plan in one) == [0, 1]


def test_many_delays_of_one_constant_share_a_set() -> None:
    (plan,) = _plans(*(_dense(2.0, 0.1 * k, n=10) for k in (1, 2, 3, 4)), delivery="push")
    assert plan.delay is None
    assert plan.delay_bits == 3
    assert plan.max_delay == 4


def test_too_many_constants_share_words() -> None:
    plans = _plans(*(_dense(float(k), 1.5, n=1000 * k) for k in range(1, 12)))
    constant = [plan for plan in plans if plan.weight is not None]
    assert len(constant) == storage.MOST_CONSTANT_SETS
    (rest,) = (plan for plan in plans if plan.weight is None)
    # those with the fewest synapses
    assert rest.projections == (0, 1, 2)
    assert rest.word_bits == 32


def test_drawn_weights_are_packed() -> None:
    (plan,) = _plans(_dense(Normal(87.8, 8.78), Normal(1.5, 0.75)))
    assert plan.word_bits == 32
    assert plan.stored_shift == 0
    (push,) = _plans(_dense(Normal(87.8, 8.78), Normal(1.5, 0.75)), delivery="push")
    assert push.delay_bits > 0
    assert push.word_bits == 32
    assert not push.pull


def test_a_common_shift_is_not_stored() -> None:
    # two scales onto one receptor: the coarser weights are multiples of 2^shift quanta
    plans = _plans(
        _dense(Normal(1.0, 0.1), 1.5, post=E), _dense(Normal(2048.0, 200.0), 1.5, pre=I, post=E)
    )
    assert len(plans) == 2
    assert {plan.word_bits for plan in plans} == {32}
    assert min(plan.stored_shift for plan in plans) == 0
    assert max(plan.stored_shift for plan in plans) == 11


def test_a_set_holds_weights_of_several_shifts_as_long_as_its_field_does() -> None:
    plans = _plans(*(_dense(Normal(2.0**k, 0.1 * 2.0**k), 1.5) for k in (16, 0, 8)))
    found = sorted((plan.stored_shift, plan.projections, plan.word_bits) for plan in plans)
    assert found == [(0, (1, 2), 32), (16, (0,), 32)]


def test_wide_weights_leave_others_their_packed_words() -> None:
    wide = np.where(np.arange(E.size) == 3, 1e9, 50.0)
    plans = _plans(
        _dense(Normal(1.0, 0.1), 1.5),
        Projection(E, E, OneToOne(), weight=wide, delay=1.5),
        _dense(Normal(1.0, 0.1), 1.5, pre=I),
    )
    assert [(plan.projections, plan.word_bits) for plan in plans] == [((0, 2), 32), ((1,), 64)]


@pytest.mark.parametrize("delivery", ["pull", "push"])
def test_a_large_shift_takes_bits_from_the_field_not_from_the_weight(delivery: str) -> None:
    # field and shift make a weight of 32 bits: beyond a shift of 11 there is room for targets that
    # the field has no use for
    coarse = (_dense(Normal(1.0, 0.1), 1.5), _dense(Normal(2.0**16, 2.0**13), 1.5, pre=I))
    plans = _plans(*coarse, delivery=delivery)
    assert [plan.word_bits for plan in plans] == [32, 32]
    (far,) = (plan for plan in plans if plan.stored_shift)
    assert far.stored_shift > far.target_bits + far.delay_bits
    assert far.field_bits == 32 - far.stored_shift
    needed = scales(Network([E, I], coarse)).field_bits[1]
    assert needed <= far.field_bits
    # the weights are those of the explicit rows, every one
    network = Network([E, I], coarse)
    packed = synapses(network, 2, delivery=delivery, storage="packed")
    explicit = synapses(network, 2, delivery=delivery, storage="explicit")
    np.testing.assert_array_equal(packed, explicit)
    # without bits for the field there is no word of 32
    farther = (coarse[0], _dense(Normal(2.0**24, 2.0**21), 1.5, pre=I))
    assert sorted(plan.word_bits for plan in _plans(*farther, delivery=delivery)) == [32, 64]


def test_forced_storages() -> None:
    both = (_dense(2.0, 1.5), _dense(Normal(1.0, 0.1), 1.5, pre=I))
    (packed,) = _plans(*both, storage="packed")
    assert packed.weight is None
    assert packed.word_bits == 32
    (explicit,) = _plans(*both, storage="explicit")
    assert explicit.word_bits == 64
    assert explicit.field_bits >= 32
    assert explicit.stored_shift == 0
    drawn = _plans(*both, storage="procedural")
    assert all(plan.procedural for plan in drawn)
    kept = _plans(Projection(E, E, FixedIndegree(10), weight=1.0, delay=1.0), storage="procedural")
    assert not any(plan.procedural for plan in kept)


def test_a_projection_with_a_synapse_model_has_sets_of_its_own() -> None:
    plastic = {"synapse": Tsodyks2()}
    given = (
        _dense(2.0, 1.5),
        _dense(2.0, 1.5, pre=I, **plastic),
        _dense(2.0, 1.5, **plastic),
        _dense(Normal(2.0, 0.2), 1.5),
        _dense(Normal(2.0, 0.2), 1.5, pre=I, **plastic),
    )
    for how in ("auto", "packed", "explicit", "procedural"):
        plans = _plans(*given, storage=how)
        scaled = {plan.scaled_by: plan for plan in plans if plan.scaled_by is not None}
        assert {index: plan.projections for index, plan in scaled.items()} == {
            index: (index,) for index in (1, 2, 4)
        }
        # they are stored, also where others are drawn again
        assert not any(plan.procedural for plan in scaled.values())
        assert (scaled[1].weight is not None) == (how in ("auto", "procedural"))
    assert scaled[1].pull
    assert scaled[4].word_bits == 32
    with pytest.raises(DescriptionError, match="more synapses than a rank can hold"):
        _plans(_dense(2.0, 1.5, n=10**9, **plastic), memory_bytes=1e8)


def test_pull_from_long_runs_on() -> None:
    assert _plans(_dense(2.0, 1.5))[0].pull
    assert not _plans(_dense(2.0, 1.5, n=2000))[0].pull
    # many delays make the runs short
    assert not _plans(_dense(2.0, Uniform(0.1, 20.0)))[0].pull
    # more ranks too
    assert not _plans(_dense(2.0, 1.5), ranks=21)[0].pull
    # a ring that would leave the cache is not pushed into
    assert _plans(_dense(2.0, Exponential(60.0), n=2000))[0].pull
    for delivery in ("pull", "push"):
        for n in (2000, 400_000):
            (plan,) = _plans(_dense(2.0, 1.5, n=n), delivery=delivery)
            assert plan.pull == (delivery == "pull")


def test_words_hold_likely_delays_and_the_rest_is_possible() -> None:
    (plan,) = _plans(_dense(2.0, Exponential(1.0), n=2000), delivery="push")
    assert 2**plan.delay_bits > 22 * 10
    assert plan.max_delay > 2 * 2**plan.delay_bits / 2
    assert plan.max_delay >= 415


def test_names_are_checked() -> None:
    with pytest.raises(DescriptionError, match="pull"):
        _plans(_dense(2.0, 1.5), delivery="pul")
    with pytest.raises(DescriptionError, match="packed"):
        _plans(_dense(2.0, 1.5), storage="packt")


def test_planes_are_the_models_receptors() -> None:
    onto = Population("D", 100, IafPscDelta())
    network = Network(
        [E, onto],
        [
            Projection(E, onto, FixedIndegree(1), weight=-1.0, delay=1.0),
            Projection(E, E, FixedIndegree(1), weight=-1.0, delay=1.0, name="signed"),
            Projection(E, E, FixedIndegree(1), weight=-1.0, delay=1.0, receptor="ex"),
        ],
    )
    (layout,) = layouts(network, 1)
    found = [storage.receptor_planes(layout, one) for one in network.projections]
    assert found == [(0, 0), (0, 1), (0, 0)]


@pytest.mark.parametrize(
    ("rule", "memory", "message"),
    [
        (FixedIndegree(10**6), 1e9, "1e\\+09 on this rank, 1.86 GiB at least.*0.931 GiB of memory"),
        (FixedTotalNumber(10**15), float("inf"), "1e\\+15 on this rank.*4.4e\\+12 synapses"),
    ],
)
def test_more_synapses_than_fit_are_refused_before_any_is_drawn(
    rule: object, memory: float, message: str
) -> None:
    one = Projection(E, E, rule, weight=1.0, delay=1.0, name="too many")
    with pytest.raises(DescriptionError, match=f"'too many'.*{message}"):
        _plans(one, memory_bytes=memory)


@pytest.mark.parametrize(
    ("synapse", "each"),
    [
        (STDP(), 16),  # while they are made; then 8
        (STDP(precision="float64", alpha=Uniform(0.9, 1.1), learning_rate=Uniform(0.0, 0.1)), 28),
        (DopamineSTDP(A_plus=Uniform(0.9, 1.1), A_minus=Uniform(0.1, 1.0)), 20),
    ],
)
def test_plastic_synapses_that_do_not_fit_are_refused_too(synapse: object, each: int) -> None:
    one = Projection(E, E, FixedIndegree(10**5), 1.0, 1.0, synapse=synapse, name="too many")
    needed = each * 1e5 * E.size
    message = f"'too many'.*{needed / 2**30:.3g} GiB at least in all"
    network = Network([E], [one])
    (layout,) = layouts(network, 1)
    with pytest.raises(DescriptionError, match=message):
        plan_row_sets(layout, scales(network), memory_bytes=0.99 * needed)
    assert plan_row_sets(layout, scales(network), memory_bytes=1.01 * needed) == []


def test_what_can_be_drawn_again_needs_no_memory() -> None:
    one = Projection(E, E, FixedTotalNumber(10**9), weight=1.0, delay=1.0)
    assert all(plan.procedural for plan in _plans(one, memory_bytes=1e8))
