"""Connection rules: closed forms by hand and against draws, limits."""

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    ConnectionList,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    OneToOne,
    PairwiseBernoulli,
)

EDGES = ConnectionList([0, 1, 1, 4], [2, 2, 0, 2])


@pytest.mark.parametrize(
    ("rule", "n_pre", "n_post", "same", "synapses"),
    [
        (OneToOne(), 7, 7, False, 7),
        (AllToAll(), 5, 7, False, 35),
        (AllToAll(), 5, 5, True, 25),
        (AllToAll(autapses=False), 5, 5, True, 20),
        (AllToAll(autapses=False), 5, 5, False, 25),
        (FixedIndegree(3), 5, 7, False, 21),
        (FixedOutdegree(3), 5, 7, False, 15),
        (FixedTotalNumber(11), 5, 7, False, 11),
        (PairwiseBernoulli(0.1), 50, 70, False, 350),
        (PairwiseBernoulli(0.1, autapses=False), 50, 50, True, 245),
        (EDGES, 5, 7, False, 4),
    ],
)
def test_expected_synapses_by_hand(rule, n_pre, n_post, same, synapses):
    assert rule.expected_synapses(n_pre, n_post, same) == pytest.approx(synapses)


@pytest.mark.parametrize(
    ("rule", "n_pre", "n_post", "bound"),
    [
        (OneToOne(), 7, 7, 1),
        (AllToAll(), 5, 7, 5),
        (FixedIndegree(3), 5, 7, 3),
        (EDGES, 5, 7, 3),
        (ConnectionList([], []), 5, 7, 0),
        # Binomial(2000, 1/100): mean 20, sd 4.45; 20 + 35.6 + 8
        (FixedOutdegree(20), 100, 100, 64),
        # Binomial(100, 0.2): mean 20, sd 4; 20 + 32 + 8
        (FixedOutdegree(20, multapses=False), 100, 100, 60),
        (FixedOutdegree(100, multapses=False), 50, 100, 50),
        # Binomial(400, 1/100): mean 4, sd 1.99; 4 + 15.92 + 8
        (FixedTotalNumber(400), 30, 100, 28),
        (FixedTotalNumber(3), 30, 100, 3),
        (PairwiseBernoulli(0.2), 100, 7, 60),
        (PairwiseBernoulli(1.0), 100, 7, 100),
    ],
)
def test_largest_indegree_by_hand(rule, n_pre, n_post, bound):
    assert rule.max_indegree_bound(n_pre, n_post) == bound


@pytest.mark.parametrize("mean", [0.01, 0.5, 5.0, 200.0])
def test_the_bound_holds_in_a_million_draws(mean):
    generator = np.random.Generator(np.random.PCG64(5))
    n_post = 1000
    rule = FixedTotalNumber(int(mean * n_post))
    drawn = generator.binomial(rule.n, 1.0 / n_post, 10**6)
    assert drawn.max() <= rule.max_indegree_bound(50, n_post)


@pytest.mark.parametrize(
    ("rule", "shape"),
    [
        (OneToOne(), (5,)),
        (AllToAll(), (5, 6)),
        (EDGES, (4,)),
        (FixedIndegree(1), None),
        (PairwiseBernoulli(0.1), None),
    ],
)
def test_shapes_of_arrays(rule, shape):
    assert rule.array_shape(5, 6) == shape


@pytest.mark.parametrize(
    ("rule", "n_pre", "n_post", "same"),
    [
        (FixedIndegree(5, multapses=False), 5, 9, False),
        (FixedIndegree(4, multapses=False, autapses=False), 5, 5, True),
        (FixedIndegree(5, multapses=False, autapses=False), 5, 5, False),
        (FixedIndegree(50), 5, 9, False),
        (FixedIndegree(0, autapses=False), 1, 1, True),
        (FixedOutdegree(9, multapses=False), 5, 9, False),
        (FixedTotalNumber(10**12), 5, 9, False),
        (EDGES, 5, 3, False),
    ],
)
def test_what_is_just_possible_passes(rule, n_pre, n_post, same):
    rule.check(n_pre, n_post, same, where="projection 'x'")


@pytest.mark.parametrize(
    ("rule", "n_pre", "n_post", "same", "field"),
    [
        (OneToOne(), 5, 6, False, "rule"),
        (FixedIndegree(6, multapses=False), 5, 9, False, "rule.indegree"),
        (FixedIndegree(5, multapses=False, autapses=False), 5, 5, True, "rule.indegree"),
        (FixedIndegree(1, autapses=False), 1, 1, True, "rule.indegree"),
        (FixedOutdegree(10, multapses=False), 5, 9, False, "rule.outdegree"),
        (FixedOutdegree(9, multapses=False, autapses=False), 9, 9, True, "rule.outdegree"),
        (FixedTotalNumber(1, autapses=False), 1, 1, True, "rule.n"),
        (EDGES, 4, 3, False, "rule.sources[3]"),
        (EDGES, 5, 2, False, "rule.targets[0]"),
    ],
)
def test_what_is_impossible_is_refused(rule, n_pre, n_post, same, field):
    with pytest.raises(DescriptionError) as error:
        rule.check(n_pre, n_post, same, where="projection 'x'")
    assert error.value.where == f"projection 'x', field {field}"


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: FixedIndegree(-1), "FixedIndegree, field indegree"),
        (lambda: FixedIndegree(1.5), "FixedIndegree, field indegree"),
        (lambda: FixedOutdegree("3"), "FixedOutdegree, field outdegree"),
        (lambda: FixedTotalNumber(-3), "FixedTotalNumber, field n"),
        (lambda: FixedTotalNumber(3, multapses=False), "FixedTotalNumber, field multapses"),
        (lambda: FixedIndegree(3, multapses="no"), "FixedIndegree, field multapses"),
        (lambda: AllToAll(autapses=0), "AllToAll, field autapses"),
        (lambda: PairwiseBernoulli(1.1), "PairwiseBernoulli, field p"),
        (lambda: PairwiseBernoulli(np.nan), "PairwiseBernoulli, field p"),
        (lambda: ConnectionList([0, 1], [0]), "ConnectionList, field targets"),
        (lambda: ConnectionList([0.5], [0]), "ConnectionList, field sources"),
        (lambda: ConnectionList([-1], [0]), "ConnectionList, field sources[0]"),
        (lambda: ConnectionList([0], [2**31]), "ConnectionList, field targets[0]"),
    ],
)
def test_meaningless_rules_are_refused(make, place):
    with pytest.raises(DescriptionError) as error:
        make()
    assert error.value.where == place
