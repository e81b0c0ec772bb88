"""Synapses between views of neurons that are not consecutive, beside brute force and lists."""

import decoded
import numpy as np
import pytest
from decoded import SOURCE, TARGET, Ints, synapses

from distsnn.engine import row_builder, row_sets
from distsnn.engine.memory_estimate import estimate_memory_bytes
from distsnn.engine.storage import plan_row_sets
from distsnn.engine.wiring import build_local_synapses
from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    ConnectionList,
    ConnectionRule,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscExp,
    Lognormal,
    Network,
    Normal,
    OneToOne,
    PairwiseBernoulli,
    Population,
    PopulationView,
    Projection,
    Uniform,
)

N = 500
E, INH = Population("E", N, IafPscExp()), Population("I", 170, IafPscExp())
# blocks without a neuron, with one neuron, and with all their neurons
SPARSE = E[np.isin(np.arange(N), [3, 64, 65, 127, *range(256, 320), 499])]
PAIRS = {
    "stride to itself": (E[::2], E[::2]),
    "sparse to itself": (SPARSE, SPARSE),
    "sparse to stride": (SPARSE, INH[1::3]),
    "all to sparse": (INH[:], SPARSE),
    "sparse to range": (SPARSE, E[70:200]),
    "one to one": (E[[499]], INH[::2]),
}
RULES: dict[str, ConnectionRule] = {
    "all": AllToAll(),
    "all, no autapses": AllToAll(autapses=False),
    "indegree": FixedIndegree(7),
    "indegree, neither": FixedIndegree(7, autapses=False, multapses=False),
    "outdegree": FixedOutdegree(7),
    "outdegree, no autapses": FixedOutdegree(7, autapses=False),
    "outdegree, no multapses": FixedOutdegree(7, multapses=False),
    "outdegree, neither": FixedOutdegree(7, autapses=False, multapses=False),
    "total": FixedTotalNumber(2001),
    "total, no autapses": FixedTotalNumber(2001, autapses=False),
    "bernoulli": PairwiseBernoulli(0.2),
    "bernoulli, no autapses": PairwiseBernoulli(0.2, autapses=False),
    "bernoulli of all": PairwiseBernoulli(1.0, autapses=False),
}
# both receptors, and words that some draws do not fit
VALUES = {"both signs": (Normal(0.5, 1.0), Uniform(0.3, 2.7)), "heavy": (Lognormal(0.0, 3.0), 1.5)}


def network(pre: PopulationView, post: PopulationView, rule: ConnectionRule, *more: object):
    weight, delay = VALUES["both signs"]
    return Network([E, INH], [Projection(pre, post, rule, weight, delay), *more])


def members(view: PopulationView, built: Ints, column: int) -> Ints:
    """Return the index in a view of each synapse's source or target, which must be in it."""
    first = {"E": 0, "I": N}[view.population]
    neurons = np.arange(view.start, view.stop) if view.neurons is None else view.neurons
    position = np.searchsorted(neurons + first, built[:, column])
    np.testing.assert_array_equal((neurons + first)[position], built[:, column])
    return position


@pytest.mark.parametrize("pair", list(PAIRS))
@pytest.mark.parametrize("rule", list(RULES))
def test_any_number_of_ranks_builds_what_the_rule_says(rule: str, pair: str) -> None:
    (pre, post), made = PAIRS[pair], RULES[rule]
    if pre.size < 8 and rule == "indegree, neither":
        return  # refused, as for other views
    if made.skips_autapses and pre != post and pre.n_shared(post):
        with pytest.raises(DescriptionError, match=r"autapses=False .*given '3, 64, .* to 70:200'"):
            network(pre, post, made)
        return
    described = network(pre, post, made)
    built = synapses(described)
    for ranks in (2, 3, 7):
        np.testing.assert_array_equal(synapses(described, ranks), built)
    source, target = members(pre, built, SOURCE), members(post, built, TARGET)
    recurrent = pre == post
    if made.skips_autapses and recurrent:
        assert (source != target).all()
    pairs = np.zeros((pre.size, post.size), np.int64)
    np.add.at(pairs, (source, target), 1)
    if isinstance(made, AllToAll) or rule == "bernoulli of all":
        expected = np.ones_like(pairs)
        if made.skips_autapses and recurrent:
            np.fill_diagonal(expected, 0)
        np.testing.assert_array_equal(pairs, expected)
    elif isinstance(made, FixedIndegree):
        assert (pairs.sum(axis=0) == 7).all()
    elif isinstance(made, FixedOutdegree):
        assert (pairs.sum(axis=1) == 7).all()
    elif isinstance(made, FixedTotalNumber):
        assert pairs.sum() == 2001
    if not getattr(made, "multapses", True) or isinstance(made, PairwiseBernoulli):
        assert pairs.max() == 1
    mean = made.expected_synapses(pre.size, post.size, recurrent)
    assert abs(pairs.sum() - mean) <= 5.0 * np.sqrt(mean)


@pytest.mark.parametrize("pair", ["stride to itself", "sparse to itself", "all to sparse"])
@pytest.mark.parametrize(
    "rule", [FixedIndegree(4), FixedOutdegree(60), FixedTotalNumber(9000), PairwiseBernoulli(0.1)]
)
def test_draws_are_uniform_over_the_views(rule: ConnectionRule, pair: str) -> None:
    pre, post = PAIRS[pair]
    counts = np.zeros((pre.size, post.size))
    seeds = 40
    for seed in range(seeds):
        built = synapses(network(pre, post, rule), 2, seed=seed)
        np.add.at(counts, (members(pre, built, SOURCE), members(post, built, TARGET)), 1.0)
    for axis in (0, 1):
        sums = counts.sum(axis=axis)
        if (isinstance(rule, FixedIndegree) and axis == 0) or (
            isinstance(rule, FixedOutdegree) and axis == 1
        ):
            assert (sums == sums[0]).all()
            continue
        # a chi-squared value of n - 1 degrees of freedom, of 5 standard deviations at most
        chi = ((sums - sums.mean()) ** 2 / sums.mean()).sum()
        assert abs(chi - sums.size + 1) <= 5.0 * np.sqrt(2.0 * sums.size)


def test_one_to_one_connects_neurons_of_the_same_index() -> None:
    pre, post = E[::3], INH[np.arange(170) > 2]
    described = network(pre, post, OneToOne())
    for ranks in (1, 2, 3):
        built = synapses(described, ranks)
        assert len(built) == 167
        np.testing.assert_array_equal(members(pre, built, SOURCE), members(post, built, TARGET))


@pytest.mark.parametrize(
    "rule", [RULES[name] for name in ("all", "indegree", "outdegree", "total")]
)
@pytest.mark.parametrize("values", list(VALUES))
def test_any_storage_holds_the_synapses_of_a_list(rule: ConnectionRule, values: str) -> None:
    weight, delay = VALUES[values]
    pre, post = SPARSE, INH[1::3]
    described = Network([E, INH], [Projection(pre, post, rule, weight, delay)])
    built = synapses(described)
    for delivery in ("pull", "push"):
        for storage in ("auto", "packed", "explicit", "procedural"):
            found = synapses(described, 2, delivery=delivery, storage=storage)
            np.testing.assert_array_equal(found, built)
    # constant weights in words of 16 bits
    constant = Network([E, INH], [Projection(pre, post, rule, 3.0, 1.5)])
    plans = plan_row_sets(decoded.layouts(constant, 1)[0], decoded.scales(constant))
    assert [(plan.word_bits, plan.weight is None) for plan in plans] == [(16, False)]
    listed = ConnectionList(
        *(members(view, built, column) for view, column in ((pre, SOURCE), (post, TARGET)))
    )
    brute = synapses(Network([E, INH], [Projection(pre, post, listed, 3.0, 1.5)]))
    pairs = {tuple(row) for row in brute[:, [SOURCE, TARGET]].tolist()}
    assert pairs == {tuple(row) for row in synapses(constant, 2)[:, [SOURCE, TARGET]].tolist()}


def test_lists_and_arrays_count_neurons_in_their_view() -> None:
    pre, post = SPARSE, INH[[5, 9, 169]]
    matrix = np.arange(1.0, 1.0 + 3 * pre.size).reshape(pre.size, 3)
    described = Network([E, INH], [Projection(pre, post, AllToAll(), matrix, 1.0)])
    built = synapses(described, 3)
    weight = built[:, decoded.WEIGHT] * decoded.scales(described).quantum("I", "ex")
    expected = matrix[members(pre, built, SOURCE), members(post, built, TARGET)]
    np.testing.assert_allclose(weight, expected, rtol=2.0**-10)
    edges = ConnectionList([0, 1, 68, 68], [2, 0, 1, 1])
    built = synapses(Network([E, INH], [Projection(pre, post, edges, 2.0, 1.0)]), 3)
    assert built[:, [SOURCE, TARGET]].tolist() == [[3, 669], [64, 505], [499, 509], [499, 509]]


def test_rows_of_other_projections_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, delay = VALUES["both signs"]
    others = [
        Projection(E[7:243], E[7:243], FixedTotalNumber(900), weight, delay, name="a"),
        Projection(E, INH, FixedIndegree(3), weight, delay, name="b"),
    ]
    rule = FixedTotalNumber(2000)
    alone = Network([E, INH], others)
    described = Network([E, INH], [*others, Projection(E[::2], E[::2], rule, weight, delay)])
    together = synapses(described)
    # the listed projection is the third: its stream does not depend on the others
    removed = {tuple(row) for row in together.tolist()} - {
        tuple(row) for row in synapses(alone).tolist()
    }
    assert all(source % 2 == 0 and target % 2 == 0 for source, target, *_ in removed)
    monkeypatch.setattr(row_builder, "_SLICE", 32)
    monkeypatch.setattr(row_sets, "_PIECE", 100)
    for room, edge_bytes in ((3000, 1000), (1, 1)):
        monkeypatch.setattr(row_builder, "_ROOM", room)
        monkeypatch.setattr(row_builder, "EDGE_BYTES", edge_bytes)
        np.testing.assert_array_equal(synapses(described, 2), together)


def test_listed_views_are_stored_where_others_are_drawn_again() -> None:
    rule = FixedTotalNumber(2000)
    described = network(
        *(E[::2], INH, rule),
        Projection(E, INH, rule, 1.0, 1.5),
        Projection(E[::2], E, rule, 1.0, 1.5),
    )
    (layout,) = decoded.layouts(described, 1)
    scales = decoded.scales(described)
    plans = plan_row_sets(layout, scales, storage="procedural")
    assert sorted((plan.projections, plan.procedural) for plan in plans) == [
        ((0,), False),
        ((1,), True),
        ((2,), False),
    ]
    built = build_local_synapses(layout, scales, 1, storage="procedural")
    assert built.synapses == 6000 and len(built.generators) == 1


def test_memory_of_listed_targets_is_estimated_by_their_number() -> None:
    population = Population("P", 64 * 64, IafPscExp())
    first_half = np.arange(population.size) < population.size // 2

    def estimates(post: PopulationView) -> list[float]:
        rule = FixedIndegree(2000)
        described = Network([population], [Projection(population, post, rule, 1.0, 1.5)])
        scales = decoded.scales(described)
        return [
            estimate_memory_bytes(layout, scales)
            for layout in decoded.layouts(described, 2, "contiguous")
        ]

    listed = first_half.copy()
    listed[-1] = True
    for expected, found in zip(
        estimates(population[: population.size // 2]), estimates(population[listed]), strict=True
    ):
        assert found == pytest.approx(expected, rel=0.01)
