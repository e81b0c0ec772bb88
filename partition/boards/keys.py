"""Keys of multicast packets: to each slice a block of keys that one key and mask names.

A slice of n neurons gets 2^k ≥ n keys at a multiple of 2^k. Two blocks that are halves of one
larger block can share entries of tables wherever their packets are treated alike. So blocks are
paired from the smallest up, each with that with which it shares most: first those of one node, then
those of nodes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.partition.boards.reach import Ints
from distsnn.partition.boards.routes import Routes

# What a node does with a block's packets: a route's number, or one of these.
_NOTHING, _MIXED = -1, -2


@dataclass(frozen=True, eq=False)
class Keys:
    """Blocks of keys.

    Parameters
    ----------
    key, mask : ndarray of int64, shape (n,)
        Neuron i of slice v sends key ``key[v] + i``; ``key & mask`` is the same for all of them.
    bits : int
        Bits of a key.
    """

    key: Ints
    mask: Ints
    bits: int


@dataclass(frozen=True, eq=False)
class _Block:
    # slices and their first keys within the block, its size, and each node's route for all of it
    slices: Ints
    offset: Ints
    span: int
    route: npt.NDArray[np.int32]


def allot(neurons: Ints, home: Ints, routes: Routes, nodes: int, bits: int) -> Keys:
    """Return a block of keys for each slice.

    Parameters
    ----------
    neurons : ndarray of int64, shape (n,)
        Neurons of each slice.
    home : ndarray of int64, shape (n,)
        Node of each slice.
    routes : Routes
        What nodes do with their packets.
    nodes : int
        Number of nodes.
    bits : int
        Bits of a key.

    Raises
    ------
    DescriptionError
        If there are not enough keys.
    """
    size = np.left_shift(1, np.ceil(np.log2(np.maximum(neurons, 1))).astype(np.int64))
    mask = ((1 << bits) - 1) & ~(size - 1)
    if size.size == 0:
        return Keys(size, mask, bits)
    blocks = _blocks(size, routes, nodes)
    made = _joined([_joined([blocks[one] for one in _at(home, node)]) for node in np.unique(home)])
    key = np.empty(size.size, np.int64)
    key[made.slices] = made.offset
    if made.span > 1 << bits:
        # without gaps, if need be
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


def _at(home: Ints, node: int) -> list[int]:
    found: list[int] = np.flatnonzero(home == node).tolist()
    return found


def _blocks(size: Ints, routes: Routes, nodes: int) -> list[_Block]:
    words = np.column_stack([routes.links.astype(np.uint64), routes.cores])
    number = np.unique(words, axis=0, return_inverse=True)[1].reshape(-1)
    route = np.full((size.size, nodes), _NOTHING, np.int32)
    route[routes.source, routes.node] = number
    zero = np.zeros(1, np.int64)
    return [
        _Block(np.array([one], np.int64), zero, int(span), route[one])
        for one, span in enumerate(size)
    ]


def _joined(blocks: list[_Block]) -> _Block:
    """Return one block that holds all, paired from the smallest up."""
    while len(blocks) > 1:
        span = min(one.span for one in blocks)
        small = [one for one in blocks if one.span == span]
        rest = [one for one in blocks if one.span != span]
        pairs = _pairs(small)
        alone = set(range(len(small))).difference(*pairs)
        blocks = rest + [_pair(small[a], small[b]) for a, b in pairs]
        for one in (small[at] for at in alone):
            blocks.append(_Block(one.slices, one.offset, 2 * span, one.route))
    return blocks[0]


def _pairs(blocks: list[_Block]) -> list[tuple[int, int]]:
    # greedily, those first that share most entries
    route = np.stack([one.route for one in blocks])
    a, b = np.triu_indices(len(blocks), 1)
    shared = np.empty(a.size, np.int64)
    for first in range(len(blocks) - 1):
        mine = a == first
        same = (route[b[mine]] == route[first]) & (route[first] >= 0)
        shared[mine] = same.sum(axis=1)
    free, found = np.ones(len(blocks), bool), []
    for one in np.argsort(-shared, kind="stable"):
        if free[a[one]] and free[b[one]]:
            free[a[one]] = free[b[one]] = False
            found.append((int(a[one]), int(b[one])))
    return found


def _pair(one: _Block, other: _Block) -> _Block:
    a, b = one.route, other.route
    route = np.where(a == _NOTHING, b, np.where((b == _NOTHING) | (a == b), a, _MIXED))
    return _Block(
        np.concatenate([one.slices, other.slices]),
        np.concatenate([one.offset, other.offset + one.span]),
        2 * one.span,
        route.astype(np.int32),
    )
