"""Assignments of blocks to ranks."""

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import IafPscExp, Network, Population
from distsnn.network.blocks import BlockTable, make_blocks
from distsnn.partition.assignment import STRATEGIES, Assignment, make_assignment


def _table(*sizes: int) -> BlockTable:
    return make_blocks(Network([Population(f"p{i}", n, IafPscExp()) for i, n in enumerate(sizes)]))


@pytest.mark.parametrize("ranks", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_strategies_give_every_block_one_owner(strategy: str, ranks: int) -> None:
    table = _table(1000, 63, 64, 65, 1, 300)
    made = make_assignment(table, ranks, strategy)
    assert made.strategy == strategy
    assert made.ranks == ranks
    owned = [made.blocks_of_rank(rank) for rank in range(ranks)]
    np.testing.assert_array_equal(np.sort(np.concatenate(owned)), np.arange(table.n_blocks))
    for rank, mine in enumerate(owned):
        assert np.all(np.diff(mine) > 0)
        assert np.all(made.owner[mine] == rank)
    # a pure function
    np.testing.assert_array_equal(make_assignment(table, ranks, strategy).owner, made.owner)


def test_round_robin_deals_populations_out() -> None:
    table = _table(64 * 8, 64 * 4)
    made = make_assignment(table, 4, "round_robin")
    for population, share in ((0, 2), (1, 1)):
        owner = made.owner[table.population == population]
        np.testing.assert_array_equal(np.bincount(owner, minlength=4), share)


@pytest.mark.parametrize("ranks", [1, 2, 5, 16])
def test_contiguous_makes_parts_of_similar_size(ranks: int) -> None:
    table = _table(64 * 100, 10, 64 * 60 + 5, 1)
    made = make_assignment(table, ranks, "contiguous")
    assert np.all(np.diff(made.owner) >= 0)
    neurons = np.bincount(made.owner, weights=table.size, minlength=ranks)
    assert np.abs(neurons - table.size.sum() / ranks).max() <= 64


def test_populations_stay_whole() -> None:
    table = _table(1000, 63, 640, 65, 1, 300)
    made = make_assignment(table, 3, "population")
    np.testing.assert_array_equal(
        [made.owner[table.population == one][0] for one in range(6)], [0, 2, 1, 2, 2, 2]
    )
    for one in range(6):
        assert np.unique(made.owner[table.population == one]).size == 1


def test_more_ranks_than_blocks_leave_some_without() -> None:
    table = _table(100)
    for strategy in STRATEGIES:
        made = make_assignment(table, 5, strategy)
        left = 4 if strategy == "population" else 3
        assert sum(made.blocks_of_rank(rank).size == 0 for rank in range(5)) == left


def test_given_assignments_are_checked() -> None:
    table = _table(200, 200)
    given = Assignment(3, np.array([2, 0, 0, 2, 1, 1, 1, 1], np.int32))
    assert make_assignment(table, 3, given) is given
    with pytest.raises(DescriptionError, match="does not match the number of ranks"):
        make_assignment(table, 4, given)
    with pytest.raises(DescriptionError, match="does not match the number of ranks"):
        make_assignment(_table(200), 3, given)
    with pytest.raises(DescriptionError, match="round_robin"):
        make_assignment(table, 3, "round-robin")
    with pytest.raises(DescriptionError, match="unknown strategy 'graph'"):
        make_assignment(table, 3, "graph")  # it needs the network, too
    with pytest.raises(DescriptionError, match="not a rank") as caught:
        Assignment(2, np.array([0, 1, 2, 5]))
    assert "block 2" in str(caught.value)
    with pytest.raises(DescriptionError, match="not a rank"):
        Assignment(2, np.array([0, -1]))
    assert Assignment(2, [0, 1, 1, 0]).owner.dtype == np.int32
    for owner in ([0.5, 1.0], [[0, 1]], "01"):
        with pytest.raises(DescriptionError, match="owner: must have one rank per block"):
            Assignment(2, owner)
    with pytest.raises(DescriptionError, match="ranks: out of range; given 0"):
        Assignment(0, np.array([0]))


def test_groups_are_of_all_ranks() -> None:
    owner = np.zeros(3, np.int32)
    assert Assignment(3, owner).group_of_rank.tolist() == [0, 1, 2]
    assert Assignment(3, owner, groups=(2, 1)).group_of_rank.tolist() == [0, 0, 1]
    assert Assignment(3, owner, groups=np.array([1, 2])).groups == (1, 2)
    for groups in ((3,), (2, 2), (3, 0), (-1, 4), "21", (1.9, 2.2), (True, 2), 5, None, [[1], [2]]):
        with pytest.raises(DescriptionError, match=r"field groups.*3 ranks in all"):
            Assignment(3, owner, groups=groups)
    with pytest.raises(DescriptionError, match="100,000 sizes") as told:
        Assignment(3, owner, groups=[1] * 100_000)
    assert len(str(told.value)) < 200
