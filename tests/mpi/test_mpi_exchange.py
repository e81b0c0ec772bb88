"""The compiled exchange on 1 to 4 ranks; what it must deliver is checked in the program."""

import pytest
from campaigns import sampled
from mpi_jobs import Starter


# two ranks spin while they wait, more of them share cores
@pytest.mark.parametrize("ranks", sampled([2, 1, 3, 4], 4))
def test_arrivals_are_the_other_ranks_spikes(starter: Starter, ranks: int) -> None:
    ended = starter.mpiexec(ranks, "exchange.py").end()
    assert ended.code == 0, ended.err
    if ranks == 1:
        assert ended.out == "alone\n"
    else:
        # The first rank of a node compiled (or had been spared by an earlier job); the others
        # found its kernels in the disk cache.
        hits = [int(word) for word in ended.out.removeprefix("cache hits").split()]
        assert len(hits) == ranks
        assert hits[1:] == [1] * (ranks - 1)


@pytest.mark.ci
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_groups_get_their_own_spikes_soon_and_others_later(starter: Starter, ranks: int) -> None:
    ended = starter.mpiexec(ranks, "group_exchange.py").end()
    assert ended.code == 0, ended.err
    assert ended.out.count("same") == ranks
