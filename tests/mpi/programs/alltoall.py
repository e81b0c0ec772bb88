"""Run on N ranks: send arrays from every rank to every rank, and check what arrives."""

import sys

import numpy as np

from distsnn.comm import Communicator, run_program

RECORD = np.dtype([("source", "u4"), ("weight", "f8")])


def part(source: int, target: int, n: int) -> np.ndarray:
    """Return what `source` sends to `target`: known to both, strided in the memory."""
    made = np.zeros(2 * n, RECORD)
    made["source"] = 1000 * source + target
    made["weight"] = np.arange(2 * n) / 3.0
    return made[::2]


def main(ranks: Communicator) -> int:
    lengths = np.random.default_rng(5).integers(0, 3000, (4, ranks.size, ranks.size))
    lengths[1] = 0
    lengths[2, :, :-1] = 0  # all to the last
    lengths[3, 1:] = 0  # all from the first
    for table in lengths.tolist():
        sent = [part(ranks.rank, target, n) for target, n in enumerate(table[ranks.rank])]
        received = ranks.alltoall(sent)
        assert len(received) == ranks.size
        for source, found in enumerate(received):
            assert found.dtype == RECORD
            expected = part(source, ranks.rank, table[source][ranks.rank])
            np.testing.assert_array_equal(found, expected)
    # more than a message that a library sends at once
    big = [np.full(700_000, 10 * ranks.rank + target, np.int64) for target in range(ranks.size)]
    for source, found in enumerate(ranks.alltoall(big)):
        np.testing.assert_array_equal(found, np.full(700_000, 10 * source + ranks.rank))
    if ranks.rank == 0:
        print("all arrived", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
