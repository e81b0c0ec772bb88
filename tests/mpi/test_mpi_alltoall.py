"""Arrays from every rank to every rank; what must arrive is checked in the program."""

import pytest
from campaigns import sampled
from mpi_jobs import Starter


@pytest.mark.parametrize("ranks", sampled([2, 1, 4], 3))
def test_every_rank_receives_what_was_sent_to_it(starter: Starter, ranks: int) -> None:
    ended = starter.mpiexec(ranks, "alltoall.py").end()
    assert (ended.code, ended.out) == (0, "all arrived\n"), ended.err
