"""Routers' tables: entries of keys and masks, without those that the default does, merged."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.partition.boards.geometry import Machine
from distsnn.partition.boards.keys import Keys
from distsnn.partition.boards.reach import Ints
from distsnn.partition.boards.routes import Routes
from distsnn.partition.boards.table_kernels import merge

# Beyond the lowest bit of every mask: that of an entry that matches all keys.
_EVERY = 1 << 32


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of all routers; in each the first entry that matches decides.

    Parameters
    ----------
    start : ndarray of int64, shape (n_nodes + 1,)
        The entries of node i are ``start[i]`` to ``start[i + 1]``.
    key, mask : ndarray of int64, shape (n_entries,)
        An entry matches k if ``k & mask == key``.
    links : ndarray of int64, shape (n_entries,)
        Bit p: packets leave by port p.
    cores : ndarray of uint64, shape (n_entries, n_words)
        Bit c of the words: packets go to core c.
    """

    start: Ints
    key: Ints
    mask: Ints
    links: Ints
    cores: npt.NDArray[np.uint64]

    @property
    def sizes(self) -> Ints:
        """Number of entries of each node."""
        return np.diff(self.start)


def plain_tables(routes: Routes, keys: Keys, nodes: int) -> Tables:
    """Return the tables with one entry for each slice that passes."""
    order = np.argsort(routes.node, kind="stable")
    source = routes.source[order]
    start = np.searchsorted(routes.node[order], np.arange(nodes + 1)).astype(np.int64)
    return Tables(
        start, keys.key[source], keys.mask[source], routes.links[order], routes.cores[order]
    )


def compressed_tables(routes: Routes, keys: Keys, machine: Machine, *, default: bool) -> Tables:
    """Return the tables with as few entries as merging makes them.

    Parameters
    ----------
    routes : Routes
        What is to be done with each slice's packets.
    keys : Keys
        Their keys.
    machine : Machine
        The machine.
    default : bool
        Whether routers send packets straight on that no entry matches.
    """
    words = np.column_stack([routes.links.astype(np.uint64), routes.cores])
    order = np.argsort(routes.node, kind="stable")
    bounds = np.searchsorted(routes.node[order], np.arange(machine.n_nodes + 1))
    straight = routes.straight_on(machine) if default else np.zeros(order.size, bool)
    parts: list[tuple[Ints, Ints, npt.NDArray[np.uint64]]] = []
    for node in range(machine.n_nodes):
        mine = order[bounds[node] : bounds[node + 1]]
        key, mask = keys.key[routes.source[mine]], keys.mask[routes.source[mine]]
        ways = [_compress(key, mask, words[mine], np.zeros(mine.size, bool))]
        if straight[mine].any():
            ways.append(_compress(key, mask, words[mine], straight[mine]))
        parts.append(min(ways, key=lambda one: one[0].size))
    start = np.cumsum([0, *(one[0].size for one in parts)], dtype=np.int64)
    word = np.concatenate([one[2] for one in parts])
    return Tables(
        start,
        np.concatenate([one[0] for one in parts]),
        np.concatenate([one[1] for one in parts]),
        word[:, 0].astype(np.int64),
        word[:, 1:],
    )


def _compress(
    key: Ints, mask: Ints, word: npt.NDArray[np.uint64], dropped: npt.NDArray[np.bool_]
) -> tuple[Ints, Ints, npt.NDArray[np.uint64]]:
    """Return one table's merged entries; what is dropped is matched by none of them."""
    kept = np.flatnonzero(~dropped)
    if kept.size == 0:
        return key[:0], mask[:0], word[:0]
    distinct, route = np.unique(word[kept], axis=0, return_inverse=True)
    route = route.reshape(-1)
    sizes = np.bincount(route)
    rank = np.empty(sizes.size, np.int64)
    rank[np.argsort(sizes, kind="stable")] = np.arange(sizes.size)
    order = kept[np.lexsort((key[kept], rank[route]))]
    bound = np.concatenate(([0], np.cumsum(np.sort(sizes, kind="stable")))).astype(np.int64)
    given = key[order], mask[order]
    new_key, new_mask = given[0].copy(), given[1].copy()
    left = merge(new_key, new_mask, bound, given, key[dropped], mask[dropped])
    index = np.concatenate([np.arange(a, a + n) for a, n in zip(bound[:-1], left, strict=True)])
    # a merged entry may take in a part of another block of its route: larger blocks come first
    low = new_mask[index] & -new_mask[index]
    low[low == 0] = _EVERY
    index = index[np.lexsort((-low, np.repeat(np.arange(left.size), left)))]
    words = distinct[np.argsort(sizes, kind="stable")].repeat(left, axis=0)
    return new_key[index], new_mask[index], words
