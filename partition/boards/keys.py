"""Keys of multicast packets: a block of keys for each slice, given by a key and a mask.

A slice of n neurons gets 2^k ≥ n keys at a multiple of 2^k. Two halves of a larger block can share
a routing entry on each node that routes their packets equally. So blocks are paired in ascending
order of size, each with the block that has the most equal routes: first within nodes, then across.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.partition.boards.core_targets import Ints
from distsnn.partition.boards.routes import Routes

# Values of `route_of_node` besides the index of a route: packets do not visit, or routes differ.
_NOTHING, _MIXED = -1, -2


@dataclass(frozen=True, eq=False)
class Keys:
    """Blocks of keys.

    Parameters
    ----------
    key, mask : ndarray of int64, shape (n,)
        Neuron i of slice v sends key ``key[v] + i``. ``key & mask`` is equal for all its neurons.
    bits : int
        Number of bits of a key.
    """

    key: Ints
    mask: Ints
    bits: int


@dataclass(frozen=True, eq=False)
class _KeyBlock:
    # slices and their first keys within the block, its size, and each node's route for all of it
    slices: Ints
    offset: Ints
    n_keys: int
    route_of_node: npt.NDArray[np.int32]


def allocate_keys(neurons: Ints, home: Ints, routes: Routes, n_nodes: int, bits: int) -> Keys:
    """Allocate a block of keys for each slice.

    Parameters
    ----------
    neurons : ndarray of int64, shape (n,)
        Neurons of each slice.
    home : ndarray of int64, shape (n,)
        Node of each slice.
    routes : Routes
        Routes of the slices' packets.
    n_nodes : int
        Number of nodes.
    bits : int
        Number of bits of a key.

    Raises
    ------
    DescriptionError
        If there are not enough keys.
    """
    size = np.left_shift(1, np.ceil(np.log2(np.maximum(neurons, 1))).astype(np.int64))
    mask = ((1 << bits) - 1) & ~(size - 1)
    if size.size == 0:
        return Keys(size, mask, bits)
    blocks = _slice_blocks(size, routes, n_nodes)
    merged = _merge_blocks(
        [
            _merge_blocks([blocks[index] for index in _slices_of_node(home, node)])
            for node in np.unique(home)
        ]
    )
    key = np.empty(size.size, np.int64)
    key[merged.slices] = merged.offset
    if merged.n_keys > 1 << bits:
        # blocks in descending order of size leave no gaps
        order = np.argsort(-size, kind="stable")
        key[order] = np.cumsum(size[order]) - size[order]
    if int((key + size).max()) > 1 << bits:
        raise DescriptionError(
            "not enough keys for all neurons",
            where="keys",
            value=int(size.sum()),
            allowed=f"{1 << bits} keys of {bits} bits, in blocks of powers of two",
        )
    return Keys(key, mask, bits)


def _slices_of_node(home: Ints, node: int) -> list[int]:
    slices: list[int] = np.flatnonzero(home == node).tolist()
    return slices


def _slice_blocks(size: Ints, routes: Routes, n_nodes: int) -> list[_KeyBlock]:
    targets = np.column_stack([routes.links.astype(np.uint64), routes.cores])
    route_number = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1)
    route = np.full((size.size, n_nodes), _NOTHING, np.int32)
    route[routes.source, routes.node] = route_number
    zero = np.zeros(1, np.int64)
    return [
        _KeyBlock(np.array([slice_index], np.int64), zero, int(n_keys), route[slice_index])
        for slice_index, n_keys in enumerate(size)
    ]


def _merge_blocks(blocks: list[_KeyBlock]) -> _KeyBlock:
    """Merge all blocks into one, in pairs of the smallest blocks."""
    while len(blocks) > 1:
        n_keys = min(block.n_keys for block in blocks)
        smallest = [block for block in blocks if block.n_keys == n_keys]
        larger = [block for block in blocks if block.n_keys != n_keys]
        pairs = _choose_pairs(smallest)
        unpaired = set(range(len(smallest))).difference(*pairs)
        blocks = larger + [_merge_pair(smallest[a], smallest[b]) for a, b in pairs]
        for block in (smallest[index] for index in unpaired):
            blocks.append(_KeyBlock(block.slices, block.offset, 2 * n_keys, block.route_of_node))
    return blocks[0]


def _choose_pairs(blocks: list[_KeyBlock]) -> list[tuple[int, int]]:
    # greedy: the pairs with the most equal routes first
    route = np.stack([pair.route_of_node for pair in blocks])
    a, b = np.triu_indices(len(blocks), 1)
    n_shared = np.empty(a.size, np.int64)
    for first in range(len(blocks) - 1):
        is_first = a == first
        same = (route[b[is_first]] == route[first]) & (route[first] >= 0)
        n_shared[is_first] = same.sum(axis=1)
    free, chosen = np.ones(len(blocks), bool), []
    for pair in np.argsort(-n_shared, kind="stable"):
        if free[a[pair]] and free[b[pair]]:
            free[a[pair]] = free[b[pair]] = False
            chosen.append((int(a[pair]), int(b[pair])))
    return chosen


def _merge_pair(low: _KeyBlock, high: _KeyBlock) -> _KeyBlock:
    a, b = low.route_of_node, high.route_of_node
    route = np.where(a == _NOTHING, b, np.where((b == _NOTHING) | (a == b), a, _MIXED))
    return _KeyBlock(
        np.concatenate([low.slices, high.slices]),
        np.concatenate([low.offset, high.offset + low.n_keys]),
        2 * low.n_keys,
        route.astype(np.int32),
    )
