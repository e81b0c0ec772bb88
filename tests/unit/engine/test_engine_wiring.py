"""The synapses that ranks build: the same on any number of them, in any storage."""

from dataclasses import replace

import numpy as np
import pytest
from decoded import (
    DELAY,
    PLANE,
    SOURCE,
    TARGET,
    WEIGHT,
    Ints,
    canonical,
    layouts,
    of_wiring,
    scales,
    synapses,
)

from distsnn.engine import row_builder, storage, wiring
from distsnn.network import (
    AllToAll,
    ConnectionRule,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscDelta,
    IafPscExp,
    Lognormal,
    Network,
    Normal,
    OneToOne,
    PairwiseBernoulli,
    Population,
    Projection,
    TruncatedNormal,
    Uniform,
)
from distsnn.partition.assignment import Assignment

E = Population("E", 300, IafPscExp())
I = Population("I", 133, IafPscDelta())  # noqa: E741
ONE = Population("one", 1, IafPscExp())
POPULATIONS = (E, I, ONE)  # first gids 0, 300, 433

RULES: dict[str, ConnectionRule] = {
    "one to one": OneToOne(),
    "all to all": AllToAll(),
    "all to all, no autapses": AllToAll(autapses=False),
    "indegree": FixedIndegree(17),
    "indegree, no autapses": FixedIndegree(17, autapses=False),
    "indegree, no multapses": FixedIndegree(99, multapses=False),
    "indegree, neither": FixedIndegree(99, autapses=False, multapses=False),
    "outdegree": FixedOutdegree(17),
    "outdegree, no autapses": FixedOutdegree(17, autapses=False),
    "outdegree, no multapses": FixedOutdegree(99, multapses=False),
    "outdegree, neither": FixedOutdegree(99, autapses=False, multapses=False),
    "total": FixedTotalNumber(4001),
    "total, no autapses": FixedTotalNumber(4001, autapses=False),
    "bernoulli": PairwiseBernoulli(0.07),
    "bernoulli, no autapses": PairwiseBernoulli(0.07, autapses=False),
}
# weight, delay: constants, narrow, both signs, heavy tails
VALUES = {
    "constant": (3.25, 1.5),
    "normal": (Normal(30.0, 3.0), Normal(1.5, 0.75)),
    "both signs": (Normal(0.5, 1.0), Uniform(0.3, 2.7)),
    "heavy": (Lognormal(0.0, 3.0), Exponential(2.0)),
    "bounded": (TruncatedNormal(-4.0, 2.0, high=0.0), TruncatedNormal(1.0, 1.0, 0.5, 4.0)),
}


def _network(rule: ConnectionRule, values: str = "normal", pre=E, post=E, **more) -> Network:
    weight, delay = VALUES[values]
    return Network(POPULATIONS, [Projection(pre, post, rule, weight=weight, delay=delay, **more)])


@pytest.mark.parametrize("values", list(VALUES))
@pytest.mark.parametrize("rule", list(RULES))
def test_any_number_of_ranks_builds_the_same(rule: str, values: str) -> None:
    # all to all makes so many synapses that a slice is enough
    part = E[5:140] if rule.startswith("all") else E
    network = _network(RULES[rule], values, pre=part, post=part)
    one = synapses(network)
    assert len(one) > 200
    for ranks in (2, 3, 4, 7):
        np.testing.assert_array_equal(synapses(network, ranks), one)
    drawn = not (rule.startswith(("one", "all")) and values == "constant")
    assert np.array_equal(synapses(network, seed=2), one) != drawn


@pytest.mark.parametrize("values", list(VALUES))
@pytest.mark.parametrize("rule", ["indegree", "outdegree, neither", "total"])
def test_any_storage_builds_the_same(rule: str, values: str) -> None:
    network = _network(RULES[rule], values)
    one = synapses(network)
    np.testing.assert_array_equal(synapses(network, 3, strategy="contiguous"), one)
    for delivery in ("pull", "push"):
        for kept in ("auto", "packed", "explicit"):
            found = synapses(network, 2, delivery=delivery, storage=kept)
            np.testing.assert_array_equal(found, one)


@pytest.mark.parametrize("rule", list(RULES))
def test_slices_of_sources_change_nothing(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weight, delay = VALUES["both signs"]
    made = RULES[rule]
    network = Network(
        POPULATIONS,
        [
            Projection(E[7:243], E[7:243], made, weight=weight, delay=delay),
            # other sources of the same population, in the same set
            Projection(
                E[90:300], E[20:230], FixedTotalNumber(900), weight=weight, delay=delay, name="b"
            ),
            Projection(E[3:290], E[4:291], FixedIndegree(3), weight=weight, delay=delay, name="c"),
        ],
    )
    one = synapses(network)
    monkeypatch.setattr(row_builder, "_SLICE", 32)
    for room, edge_bytes in ((1 << 21, 1 << 27), (3000, 1000), (1, 1)):
        monkeypatch.setattr(row_builder, "_ROOM", room)
        monkeypatch.setattr(row_builder, "EDGE_BYTES", edge_bytes)
        np.testing.assert_array_equal(synapses(network, 2), one)


def test_more_ranks_than_blocks_and_ranks_that_own_nothing() -> None:
    network = _network(FixedTotalNumber(2000))
    one = synapses(network)
    np.testing.assert_array_equal(synapses(network, 13), one)
    n = layouts(network, 1)[0].table.n_blocks
    owner = np.where(np.arange(n) % 2, 4, 1).astype(np.int32)
    np.testing.assert_array_equal(synapses(network, 6, strategy=Assignment(6, owner)), one)


# views that begin and end within blocks and overlap in part, within a block, of a single neuron
VIEWS = {
    "slices": (E[7:190], E[100:291]),
    "within a block": (E[3:9], E[70:75]),
    "last, ragged": (E, I[120:133]),
    "single": (ONE, E[63:65]),
    "to single": (I[5:100], ONE),
    "same slice": (E[37:243], E[37:243]),
}


@pytest.mark.parametrize("view", list(VIEWS))
@pytest.mark.parametrize(
    "rule",
    [
        AllToAll(),
        FixedIndegree(9),
        FixedIndegree(1, multapses=False),
        FixedOutdegree(9),
        FixedOutdegree(1, multapses=False),
        FixedTotalNumber(500),
        PairwiseBernoulli(0.3),
    ],
    ids=lambda rule: f"{type(rule).__name__} {getattr(rule, 'multapses', '')}",
)
def test_views_need_not_begin_at_blocks(view: str, rule: ConnectionRule) -> None:
    pre, post = VIEWS[view]
    network = _network(rule, pre=pre, post=post)
    one = synapses(network)
    for ranks in (3, 7):
        np.testing.assert_array_equal(synapses(network, ranks), one)
    first = network.first_gid
    source = one[:, SOURCE] - first[network.projections[0].pre.population]
    target = one[:, TARGET] - first[network.projections[0].post.population]
    inside = network.projections[0]
    assert np.all((source >= inside.pre.start) & (source < inside.pre.stop))
    assert np.all((target >= inside.post.start) & (target < inside.post.stop))
    # both ends of both views are reached where there is enough to reach them
    if len(one) > 20 * max(inside.pre.size, inside.post.size):
        assert (source.min(), source.max()) == (inside.pre.start, inside.pre.stop - 1)
        assert (target.min(), target.max()) == (inside.post.start, inside.post.stop - 1)


def test_a_slice_without_autapses_leaves_out_its_own_neurons() -> None:
    for rule in (
        AllToAll(autapses=False),
        FixedIndegree(205, autapses=False, multapses=False),
        FixedOutdegree(205, autapses=False, multapses=False),
        PairwiseBernoulli(1.0, autapses=False),
    ):
        network = _network(rule, pre=E[37:243], post=E[37:243])
        pairs = synapses(network)[:, [SOURCE, TARGET]]
        every = np.array([(s, t) for s in range(37, 243) for t in range(37, 243) if s != t])
        np.testing.assert_array_equal(pairs, every)


def _pairs(found: Ints) -> Ints:
    return found[:, SOURCE] * 1000 + found[:, TARGET]


@pytest.mark.parametrize("rule", list(RULES))
def test_rules_keep_their_promises(rule: str) -> None:
    made = RULES[rule]
    found = synapses(_network(made))
    indegree = np.bincount(found[:, TARGET], minlength=300)
    outdegree = np.bincount(found[:, SOURCE], minlength=300)
    assert indegree.size == outdegree.size == 300
    if made.skips_autapses:
        assert np.all(found[:, SOURCE] != found[:, TARGET])
    elif not isinstance(made, OneToOne):
        assert np.any(found[:, SOURCE] == found[:, TARGET])
    distinct = np.unique(_pairs(found)).size == len(found)
    if not getattr(made, "multapses", False) or isinstance(made, PairwiseBernoulli | AllToAll):
        assert distinct
    elif isinstance(made, FixedTotalNumber):
        assert not distinct
    match made:
        case OneToOne():
            np.testing.assert_array_equal(found[:, SOURCE], found[:, TARGET])
            assert len(found) == 300
        case AllToAll():
            assert len(found) == 300 * (300 - made.skips_autapses)
        case FixedIndegree():
            assert np.all(indegree == made.indegree)
        case FixedOutdegree():
            assert np.all(outdegree == made.outdegree)
        case FixedTotalNumber():
            assert len(found) == made.n


def test_extremes_of_rules() -> None:
    assert len(synapses(_network(PairwiseBernoulli(0.0)))) == 0
    assert len(synapses(_network(PairwiseBernoulli(1.0)))) == 300 * 300
    # so rare that 1 - p rounds to 1
    for p in (1e-17, 1e-300, 5e-324):
        assert len(synapses(_network(PairwiseBernoulli(p)))) == 0
    assert len(synapses(_network(PairwiseBernoulli(1.0 - 2.0**-53)))) >= 300 * 299
    assert len(synapses(_network(FixedTotalNumber(0)))) == 0
    assert len(synapses(_network(FixedIndegree(0)))) == 0
    assert len(synapses(_network(FixedOutdegree(0), post=I))) == 0
    whole = synapses(_network(FixedOutdegree(300, multapses=False)))
    np.testing.assert_array_equal(
        whole[:, [SOURCE, TARGET]], synapses(_network(AllToAll()))[:, [SOURCE, TARGET]]
    )


def test_more_synapses_of_a_pair_than_a_block_has_targets() -> None:
    for rule in (FixedOutdegree(3000), FixedTotalNumber(200_000), FixedIndegree(2000)):
        network = _network(rule, pre=E[0:70], post=E[10:90])
        one = synapses(network)
        assert np.unique(_pairs(one), return_counts=True)[1].max() > 10
        np.testing.assert_array_equal(synapses(network, 3), one)
    # a run of one delay longer than 65535
    network = _network(FixedTotalNumber(150_000), "constant", pre=ONE, post=E[0:5])
    np.testing.assert_array_equal(
        synapses(network, delivery="pull"), synapses(network, 2, delivery="push")
    )


def test_other_projections_change_nothing() -> None:
    weight, delay = VALUES["normal"]

    def network(*numbers: int) -> Network:
        made = [
            Projection(E, E, FixedTotalNumber(3000 * (0 in numbers)), weight=weight, delay=delay),
            Projection(E, E, FixedIndegree(20 * (1 in numbers)), weight=weight, delay=0.7),
            Projection(E, E, FixedTotalNumber(500 * (2 in numbers)), weight=31.0, delay=delay),
            Projection(I, E, FixedOutdegree(9 * (3 in numbers)), weight=weight, delay=delay),
            Projection(E, I, FixedOutdegree(5 * (4 in numbers)), weight=1.0, delay=delay),
        ]
        return Network(
            POPULATIONS, [replace_name(one, f"number {i}") for i, one in enumerate(made)]
        )

    # the quanta are shared by all projections onto a receptor: the same scales for all
    fixed = scales(network(0, 1, 2, 3, 4))

    def build(ranks: int, *numbers: int) -> Ints:
        return canonical(
            of_wiring(layout, wiring.build(layout, fixed, 1))
            for layout in layouts(network(*numbers), ranks)
        )

    every = build(2, 0, 1, 2, 3, 4)
    assert len(every) == 3000 + 20 * 300 + 500 + 9 * 133 + 5 * 300
    apart = [build(3, number) for number in range(5)]
    np.testing.assert_array_equal(canonical(apart), every)
    np.testing.assert_array_equal(canonical([build(1, 0, 3), build(1, 1, 2, 4)]), every)


def replace_name(one: Projection, name: str) -> Projection:
    return Projection(one.pre, one.post, one.rule, weight=one.weight, delay=one.delay, name=name)


def test_projections_of_one_rule_differ() -> None:
    weight, delay = VALUES["normal"]
    twice = [
        Projection(E, E, FixedTotalNumber(3000), weight=weight, delay=delay, name=name)
        for name in "ab"
    ]
    found = synapses(Network(POPULATIONS, twice))
    assert np.unique(found, axis=0).shape[0] > 5900


@pytest.mark.parametrize("delivery", ["pull", "push"])
def test_what_does_not_fit_its_word_is_stored_elsewhere(
    delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(FixedTotalNumber(20_000), "heavy")
    one = synapses(network, delivery=delivery)

    def narrow(*arguments, **options):
        plans = storage.choose(*arguments, **options)
        return [replace(plan, field_bits=10, delay_bits=plan.delay_bits and 3) for plan in plans]

    monkeypatch.setattr(wiring, "choose", narrow)
    for ranks in (1, 3):
        np.testing.assert_array_equal(synapses(network, ranks, delivery=delivery), one)
    made = wiring.build(layouts(network, 1)[0], scales(network), 1, delivery=delivery)
    small, large = (one.words.size for one in made.row_sets)
    assert min(small, large) > 1000
    assert small + large == 20_000


def test_signs_choose_the_receptor() -> None:
    network = _network(FixedTotalNumber(5000), "both signs")
    found = synapses(network)
    assert set(found[:, PLANE]) == {0, 1}
    assert np.all((found[:, WEIGHT] >= 0) == (found[:, PLANE] == 0))
    named = synapses(_network(FixedTotalNumber(5000), "both signs", receptor="in"))
    assert set(named[:, PLANE]) == {1}
    assert np.any(named[:, WEIGHT] > 0)
    # a model with one receptor takes any sign
    onto = synapses(_network(FixedTotalNumber(5000), "both signs", post=I))
    assert set(onto[:, PLANE]) == {0}
    assert np.any(onto[:, WEIGHT] < 0)


@pytest.mark.parametrize("delivery", ["pull", "push"])
def test_long_delays(delivery: str) -> None:
    most = 65_535
    network = Network(
        POPULATIONS,
        [
            Projection(E, E, FixedTotalNumber(900), weight=1.0, delay=most * 0.1),
            Projection(
                E,
                I,
                FixedTotalNumber(900),
                weight=Normal(1.0, 0.1),
                delay=Uniform(0.1, most * 0.1),
            ),
        ],
    )
    one = synapses(network, delivery=delivery)
    np.testing.assert_array_equal(synapses(network, 3, delivery="auto"), one)
    assert one[:, DELAY].max() == most
    drawn = one[one[:, TARGET] >= 300][:, DELAY]
    assert drawn.min() < 1000
    assert drawn.max() > 60_000
