"""The digest of synapses in plain numpy, from a list of them, to compare the kernels with."""

import numpy as np
import numpy.typing as npt
from decoded import DELAY, PLANE, SOURCE, TARGET, WEIGHT, Ints

Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: Words) -> Words:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _stream(key: Words, index: Words) -> Words:
    return _mix(key ^ (_mix(index + _GOLDEN) + _GOLDEN))


def reference_digests(synapses: Ints, block_of: Ints) -> Words:
    """Return the digests of all blocks.

    Parameters
    ----------
    synapses : ndarray of int64, shape (n, 5)
        Columns as in `decoded`; sources and targets are gids.
    block_of : ndarray of int64, shape (n_neurons,)
        Each neuron's block; neurons without synapses count too.
    """
    columns = np.ascontiguousarray(synapses.T).astype(np.uint64)
    key = _stream(columns[PLANE], columns[SOURCE])
    value = columns[WEIGHT] + columns[DELAY] * _GOLDEN
    product = _mix(key) + (key | np.uint64(1)) * value
    sums = np.zeros(block_of.size, np.uint64)
    np.add.at(sums, synapses[:, TARGET], product ^ (product >> np.uint64(32)))
    digests = np.zeros(block_of.max() + 1, np.uint64)
    np.add.at(digests, block_of, _stream(sums, np.arange(block_of.size, dtype=np.uint64)))
    return digests
